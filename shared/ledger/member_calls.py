"""Who acts for an account, and who is signed in on the pages. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from shared.ledger.calls import Calls
from shared.member_models import AccountMember, Invitation, MemberAccount, MemberSession, Membership, Role


class MemberCalls(Calls):
    """Who acts for an account, and who is signed in on the pages."""

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

    # Invitations

    def invite_member(
        self, invitation_id: str, account_id: str, email: str, role: Role, actor: str
    ) -> Invitation:
        """Invites whoever reads the mail at the address, for seven days.

        Refused unknown_account, state_conflict: the address is a member's or has an open invitation, or there are too many.
        """
        return self._call(
            "invite_member",
            p_id=invitation_id, p_account_id=account_id, p_email=email, p_role=role, p_actor=actor,
        )  # fmt: skip

    def accept_invitation(
        self, account_id: str, invitation_id: str, user_id: str, email: str | None
    ) -> Invitation:
        """Makes the user a member, once. `email`: with which the user signs in, None when that is not known.

        Refused unknown_account, not_found, state_conflict: it is not open any more, or the user is a member already.
        """
        return self._call(
            "accept_invitation",
            p_account_id=account_id, p_id=invitation_id, p_user_id=user_id, p_email=email,
        )  # fmt: skip

    def withdraw_invitation(self, account_id: str, invitation_id: str, actor: str) -> Invitation:
        """Ends an open invitation; Refused unknown_account, not_found, state_conflict when it was accepted."""
        return self._call("withdraw_invitation", p_account_id=account_id, p_id=invitation_id, p_actor=actor)

    def find_invitation(self, account_id: str, invitation_id: str) -> Invitation | None:
        """The account's invitation in whatever state, or None."""
        return self._call("find_invitation", p_account_id=account_id, p_id=invitation_id)

    def list_invitations(self, account_id: str) -> list[Invitation]:
        """The account's open invitations, the newest first."""
        return self._call("list_invitations", p_account_id=account_id)

    def prune_invitations(self, limit: int) -> int:
        """Forgets invitations a week after they expired; answers how many."""
        return self._call("prune_invitations", p_limit=limit)

    # Sessions on the pages

    def open_session(
        self,
        session_hash: bytes,
        user_id: str,
        email: str | None,
        account_id: str | None,
        tokens: bytes | None,
        token_seconds: int | None,
    ) -> None:
        """Opens a session. `tokens` are encrypted; without them and their seconds it needs no renewal."""
        self._call(
            "open_session",
            p_hash=session_hash.hex(),
            p_user_id=user_id,
            p_email=email,
            p_account_id=account_id,
            p_tokens=tokens.hex() if tokens is not None else None,
            p_token_seconds=token_seconds,
        )

    def use_session(self, session_hash: bytes) -> MemberSession | None:
        """The session, or None when it has ended."""
        return self._call("use_session", p_hash=session_hash.hex())

    def renew_session(self, session_hash: bytes, tokens: bytes, token_seconds: int) -> None:
        """Keeps new tokens, and ends the claim to renew them."""
        self._call(
            "renew_session", p_hash=session_hash.hex(), p_tokens=tokens.hex(), p_token_seconds=token_seconds
        )

    def switch_session(self, session_hash: bytes, account_id: str) -> None:
        """Another account comes into view."""
        self._call("switch_session", p_hash=session_hash.hex(), p_account_id=account_id)

    def close_session(self, session_hash: bytes) -> None:
        """Ends the session."""
        self._call("close_session", p_hash=session_hash.hex())
