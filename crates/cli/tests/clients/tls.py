"""HTTPS and WSS with nothing but the twin's own authority trusted. Argument: the twin's line of JSON.

Exits 0 when everything worked, else says what did not.
"""

import json
import ssl
import sys

import certifi
import requests
import websocket
from binance.spot import Spot

TWIN = json.loads(sys.argv[1])
CA = TWIN["ca_file"]


def check(ok, what):
    if not ok:
        raise AssertionError(what)


for market, path in (("spot", "/api/v3/time"), ("usdm", "/fapi/v1/time")):
    rest = TWIN[market]["rest"]
    check(rest.startswith("https://"), rest)
    check(requests.get(rest + path, verify=CA, timeout=10).json()["serverTime"] > 0, path)
    try:
        requests.get(rest + path, verify=certifi.where(), timeout=10)
        check(False, "a certificate nobody vouches for was trusted")
    except requests.exceptions.SSLError:
        pass

client = Spot(TWIN["api_key"], TWIN["api_secret"], base_url=TWIN["spot"]["rest"])
# The machine's own setting may name other authorities, and goes before the session's.
client.session.trust_env = False
client.session.verify = CA
check(client.account()["balances"], "a signed call")

strict = ssl.create_default_context(cafile=CA)
strict.verify_flags |= ssl.VERIFY_X509_STRICT
for url in (TWIN["spot"]["ws"] + "/ws/btcusdt@bookTicker", TWIN["usdm"]["ws"] + "/public/ws/btcusdt@bookTicker"):
    check(url.startswith("wss://"), url)
    socket = websocket.create_connection(url, sslopt={"context": strict}, timeout=20)
    check(json.loads(socket.recv())["s"] == "BTCUSDT", url)
    socket.close()
print("ok")
