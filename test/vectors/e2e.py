"""Makes e2e.json from docs/end-to-end-encryption.md alone, with Python's cryptography (48 or newer), which has its own HPKE.

    python3 test/vectors/e2e.py > test/vectors/e2e.json

Signatures and encapsulations have randomness in them, so each run gives other, equally good vectors.
"""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256, sha512

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def pack(*fields):
    parts = [field.encode() if isinstance(field, str) else field for field in fields]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def hkdf(secret, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


def point(private):
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def jwk(private):
    raw = point(private)
    d = private.private_numbers().private_value.to_bytes(32, "big")
    return {"kty": "EC", "crv": "P-256", "x": b64(raw[1:33]), "y": b64(raw[33:]), "d": b64(d)}


def sign(private, data):
    r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Device:
    def __init__(self, user):
        seed = int.from_bytes(sha256(user.encode()).digest(), "big") >> 1
        self.user = user
        self.enc, self.sig = [ec.derive_private_key(seed + i, ec.SECP256R1()) for i in (1, 2)]
        self.public = {"v": 1, "user": user, "enc": b64(point(self.enc)), "sig": b64(point(self.sig))}
        packed = pack("throughline e2e 1 identity", user, self.public["enc"], self.public["sig"])
        self.id = b64(sha256(packed).digest())
        digest = sha512(packed).digest()
        groups = [int.from_bytes(digest[i * 5 : i * 5 + 5], "big") % 100_000 for i in range(12)]
        self.fingerprint = " ".join(f"{group:05}" for group in groups)

    def json(self):
        keys = {"decrypt": jwk(self.enc), "sign": jwk(self.sig)}
        return {"public": self.public, "id": self.id, "fingerprint": self.fingerprint, **keys}


def handover(thread, n, secret, giver, receivers):
    kid = b64(hkdf(secret, b"", pack("throughline e2e 1 key id", thread, str(n))))
    suite = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    head = ("throughline e2e 1 handover", thread, str(n), kid, giver.id)
    members = []
    for device in receivers:
        sealed = suite.encrypt(secret, device.enc.public_key(), pack(*head, device.id))
        members.append([device.id, b64(sealed)])
    signature = sign(giver.sig, pack(*head, *[field for member in members for field in member]))
    return {"v": 1, "thread": thread, "n": n, "kid": kid, "from": giver.id, "members": members, "s": b64(signature)}


def envelope(thread, kid, secret, sender, type, body, nonce):
    label = "throughline e2e 1 envelope"
    bound = pack(label, thread, type, sender.id, kid, nonce)
    key = hkdf(secret, nonce, pack(label))
    cipher = AESGCM(key).encrypt(bytes(12), sign(sender.sig, bound + body) + body, bound)
    return {"v": 1, "kid": kid, "from": sender.id, "n": b64(nonce), "c": b64(cipher)}


ada, ben = Device("7"), Device("ben@example.com")
secret = sha256(b"a secret for vectors").digest()
given = handover("42", 3, secret, ada, [ada, ben])
at = 1_800_000_000_000
cases = []
for i, (sender, type, value) in enumerate(
    [
        (ada, "message", {"text": "Grüße, 世界 👋", "n": 1.5, "list": [None, True, {}]}),
        (ben, "typing", None),
        (ben, "call.offer", "x" * 3000),
    ]
):
    body = json.dumps([at + i, value], ensure_ascii=i % 2 == 1).encode()
    sealed = envelope("42", given["kid"], secret, sender, type, body + b" " * (i * 7), sha256(bytes([i])).digest()[:24])
    cases.append({"sender": sender.user, "type": type, "at": at + i, "value": value, "envelope": sealed})
vectors = {"devices": [ada.json(), ben.json()], "secret": b64(secret), "handover": given, "envelopes": cases}
print(json.dumps(vectors, indent=2, ensure_ascii=False))
