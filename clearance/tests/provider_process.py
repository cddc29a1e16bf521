"""A small OpenID provider, run as a process of its own: honest, unless a test tells it otherwise.

`python provider_process.py PORT FOLDER`; keys outlive the process in the folder. `POST /control` takes what is to
change (below) and tells how often each address was asked for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PORT, FOLDER = int(sys.argv[1]), Path(sys.argv[2])
ISSUER = f"http://127.0.0.1:{PORT}"

asked: Counter[str] = Counter()
codes: dict[str, dict[str, str]] = {}
orders: dict[str, Any] = {}


class Keys:
    """Of which the newest signs; all that are not withdrawn are published."""

    def __init__(self) -> None:
        self.all = {
            path.stem: serialization.load_pem_private_key(path.read_bytes(), None)
            for path in sorted(FOLDER.glob("*.pem"), key=lambda path: path.stat().st_mtime_ns)
        }
        if not self.all:
            self.rotate()

    def rotate(self) -> None:
        kid, key = secrets.token_hex(4), rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        (FOLDER / f"{kid}.pem").write_bytes(pem)
        self.all[kid] = key

    def withdraw(self, kid: str) -> None:
        (FOLDER / f"{kid}.pem").unlink()
        del self.all[kid]

    @property
    def newest(self) -> str:
        return list(self.all)[-1]

    def published(self) -> dict[str, Any]:
        entries = (
            {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
            for kid, key in self.all.items()
        )
        return {"keys": [*entries, *orders.get("more_keys", [])]}


keys = Keys()


def signed(claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """A token with the newest key, unless the header names another; what is null is left out."""
    header = {"alg": "RS256", "kid": keys.newest, **(header or {})}
    kid = header["kid"] if header.get("kid") in keys.all else keys.newest
    told = {name: value for name, value in claims.items() if value is not None}
    algorithm = header.pop("alg")
    return jwt.encode(
        told, keys.all[kid], algorithm=algorithm, headers={k: v for k, v in header.items() if v is not None}
    )


class Provider(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def log_message(self, *_args: object) -> None:
        pass

    def _serve(self, body: Any) -> None:
        address = urlsplit(self.path)
        if address.path != "/control":
            asked[address.path] += 1
            if self._misbehaves(orders.get("does", {}).get(address.path, "")):
                return
        pages = {
            "/control": self._control,
            "/.well-known/openid-configuration": self._document,
            "/jwks": lambda _given: self._say(keys.published()),
            "/authorize": self._authorize,
            "/token": self._token,
            "/userinfo": lambda _given: self._say({"sub": "amal", **orders.get("userinfo", {})}),
        }
        is_json = address.path == "/control"
        given = json.loads(body) if is_json else parse_qs(body.decode() if body else address.query)
        pages[address.path](given if is_json else {name: values[0] for name, values in given.items()})

    def _misbehaves(self, how: str) -> bool:
        if how == "fails":
            self._say({"error": "server_error"}, 500)
        elif how == "talks nonsense":
            self._send(200, b"<html>no JSON</html>")
        elif how == "says too little":
            self._say({})
        elif how == "says null":
            self._send(200, b"null")
        elif how == "talks and talks":
            self._send(200, b'{"keys": [' + b" " * 5_000_000 + b"]}")
        elif how == "leads elsewhere":
            self._send(302, b"", Location=f"{ISSUER}/elsewhere")
        elif how == "is slow":
            time.sleep(2)
        elif how == "sends crumbs":
            self._send(200, b"", length=200)
            for _ in range(200):
                self.wfile.write(b" ")
                time.sleep(0.1)
        return bool(how)

    def _control(self, given: dict[str, Any]) -> None:
        if given.pop("rotate", False):
            keys.rotate()
        if kid := given.pop("withdraw", ""):
            keys.withdraw(kid)
        if given.pop("reset", False):
            orders.clear()
            asked.clear()
            for kid in list(keys.all)[:-1]:
                keys.withdraw(kid)
        token = signed(**given.pop("sign")) if "sign" in given else ""
        orders.update(given)
        self._say({"asked": asked, "newest": keys.newest, "token": token, "published": keys.published()})

    def _document(self, _given: dict[str, str]) -> None:
        addresses = {
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            "jwks_uri": f"{ISSUER}/jwks",
        }
        self._say({"issuer": ISSUER, **addresses, **orders.get("document", {})})

    def _authorize(self, given: dict[str, str]) -> None:
        assert given["code_challenge_method"] == "S256"
        assert given["response_type"] == "code"
        assert len(given["nonce"]) >= 32
        code = secrets.token_urlsafe()
        codes[code] = given
        query = orders.get("denies") or {"code": code}
        self._send(302, b"", Location=f"{given['redirect_uri']}?{urlencode({**query, 'state': given['state']})}")

    def _token(self, given: dict[str, str]) -> None:
        begun = codes.pop(given["code"], {})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        is_same = (begun.get("client_id"), begun.get("redirect_uri")) == (given["client_id"], given["redirect_uri"])
        if not is_same or begun["code_challenge"] != challenge.decode().rstrip("="):
            self._say({"error": "invalid_grant"}, 400)
            return
        now = int(time.time())
        about = {"iss": ISSUER, "aud": given["client_id"], "sub": "amal", "nonce": begun["nonce"]}
        times = {"iat": now, "exp": now + 300}
        id_token = signed({**about, **times, **orders.get("claims", {})}, orders.get("header"))
        self._say({"access_token": "opaque", "token_type": "Bearer", "id_token": id_token})

    def _say(self, what: Any, status: int = 200) -> None:
        self._send(status, json.dumps(what).encode())

    def _send(self, status: int, content: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer(("127.0.0.1", PORT), Provider).serve_forever()
