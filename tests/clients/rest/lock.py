"""A client that openapi-python-client made of /openapi.json (package "generated") takes a lock, is told who holds it, and releases it."""

import os

from generated import Client
from generated.api.locks import claim_lock, release_claim
from generated.api.sessions import open_session
from generated.models import Claim, ClaimRequest, Problem, SessionRequest

client = Client(base_url=os.environ["QUORATE"])

session = open_session.sync(client=client, body=SessionRequest(ttl="10s", name="python")).id
claim = claim_lock.sync("python", session, client=client, body=ClaimRequest(wait="5s"))
assert isinstance(claim, Claim) and claim.state.value == "held", claim

second = claim_lock.sync_detailed("python", "new", client=client, body=ClaimRequest(ttl="10s", enqueue=False))
assert second.status_code == 409 and isinstance(second.parsed, Problem), second

released = release_claim.sync_detailed("python", session, client=client, if_match=f'"{claim.token}"')
assert released.status_code == 204, released
print(f"held with token {claim.token}")
