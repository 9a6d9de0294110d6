"""Who acts for an account. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from shared.ledger.calls import Calls
from shared.member_models import AccountMember, MemberAccount, Membership, Role


class MemberCalls(Calls):
    """Who acts for an account."""

    def find_membership(self, user_id: str, account_id: str | None) -> Membership | None:
        """The user's role in the account, or in the user's only one when none is named; None when there is none."""
        return self._call("find_membership", p_user_id=user_id, p_account_id=account_id)

    def list_memberships(self, user_id: str) -> list[MemberAccount]:
        """The user's accounts by name, with the role in each."""
        return self._call("list_memberships", p_user_id=user_id)

    def list_members(self, account_id: str) -> list[AccountMember]:
        """The account's members, the first one first; Refused unknown_account."""
        return self._call("list_members", p_account_id=account_id)

    def set_member(self, account_id: str, user_id: str, role: Role, actor: str) -> list[AccountMember]:
        """Makes the user a member with this role; Refused unknown_account, state_conflict for the last owner."""
        return self._call(
            "set_member", p_account_id=account_id, p_user_id=user_id, p_role=role, p_actor=actor
        )

    def remove_member(self, account_id: str, user_id: str, actor: str) -> list[AccountMember]:
        """Ends the membership if there is one; Refused unknown_account, state_conflict for the last owner."""
        return self._call("remove_member", p_account_id=account_id, p_user_id=user_id, p_actor=actor)
