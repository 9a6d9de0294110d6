"""The real PostgREST, directly and behind a gateway that looks like Supabase's."""

import json
import urllib.error
import urllib.request

import pytest

import supabase
from local.embedded import PostgREST, SupabaseGateway
from tests.support import Database

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def who(database: Database) -> None:
    """A function that says who calls; there before PostgREST reads the schema."""
    with database.connect() as connection:
        connection.execute(
            "create function billing.who() returns text stable language sql"
            " return current_user || ' ' || auth.role();"
            "grant usage on schema billing to anon, authenticated, service_role;"
            "revoke execute on function billing.who() from public;"
            "grant execute on function billing.who() to service_role, authenticated"
        )


def test_the_secret_key_acts_as_service_role(supabase_api: SupabaseGateway) -> None:
    """supabase-py works with a URL and a key alone."""
    client = supabase.create_client(supabase_api.url, supabase_api.secret_key)
    assert client.schema("billing").rpc("who", {}).execute().data == "service_role service_role"


def test_a_member_acts_as_authenticated(supabase_api: SupabaseGateway) -> None:
    """The publishable key opens the door, the token says who."""
    request = urllib.request.Request(f"{supabase_api.url}/rest/v1/rpc/who")
    request.add_header("apikey", supabase_api.publishable_key)
    request.add_header("Accept-Profile", "billing")
    request.add_header("Authorization", f"Bearer {supabase_api.token('authenticated', sub='me')}")
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == "authenticated authenticated"


def test_refusals_of_postgrest_arrive(supabase_api: SupabaseGateway) -> None:
    """A role without the right gets PostgreSQL's code; an unknown key gets 401."""
    client = supabase.create_client(supabase_api.url, supabase_api.publishable_key)
    with pytest.raises(supabase.PostgrestAPIError) as refused:
        client.schema("billing").rpc("who", {}).execute()
    assert refused.value.code == "42501"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{supabase_api.url}/rest/v1/rpc/who")


def test_two_postgrests_share_a_server(postgrest: PostgREST, database: Database) -> None:
    """The second does not take the login of the first away."""
    with PostgREST(database.dsn, cache=postgrest.cache) as second:
        for server in (second, postgrest.restart()):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{server.url}/rpc/who")
