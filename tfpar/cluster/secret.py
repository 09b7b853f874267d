"""The secret of a cluster: workers accept messages only from those that know it.

`tfpar launch` makes one for each start of its workers. For workers that were started otherwise, set the environment
variable TFPAR_SECRET to the same random text on all of them; without it messages are signed with an empty key, which
anyone can do.
"""

import hashlib
import hmac
import os

SECRET = "TFPAR_SECRET"
DIGITS = 64


def make_nonce() -> str:
    """Return 32 random hexadecimal digits, so that a signed message cannot be used again."""
    return os.urandom(16).hex()


def sign(*fields: object) -> str:
    """Return the HMAC-SHA256 of fields without spaces under the secret, `DIGITS` hexadecimal digits."""
    message = " ".join(map(str, fields)).encode()
    return hmac.new(os.environ.get(SECRET, "").encode(), message, hashlib.sha256).hexdigest()


def is_signed(signature: str, *fields: object) -> bool:
    """Return whether `signature` is that of the fields."""
    return hmac.compare_digest(signature.encode(), sign(*fields).encode())
