"""The venue's own connectors of the former generation trade on the twin, spot and USD-M. What they have no function for
goes through their general request. Argument: the twin's line of JSON.

Exits 0 when everything worked, else says what did not.
"""

import json
import sys
import threading

from binance.error import ClientError
from binance.lib.utils import websocket_api_signature
from binance.spot import Spot
from binance.um_futures import UMFutures
from binance.websocket.spot.websocket_api import SpotWebsocketAPIClient
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient
from binance.websocket.um_futures.websocket_client import UMFuturesWebsocketClient

TWIN = json.loads(sys.argv[1])


def check(ok, what):
    if not ok:
        raise AssertionError(what)


class Heard:
    """Messages of a stream, and waiting for one."""

    def __init__(self):
        self.kinds, self.change = [], threading.Condition()

    def __call__(self, _, message):
        message = json.loads(message)
        message = message.get("event", message)
        with self.change:
            self.kinds.append(message.get("e"))
            self.change.notify_all()

    def wait(self, kind):
        with self.change:
            check(self.change.wait_for(lambda: kind in self.kinds, 20), f"no {kind} in {self.kinds}")


def spot():
    c = Spot(TWIN["api_key"], TWIN["api_secret"], base_url=TWIN["spot"]["rest"])
    check(len(c.exchange_info()["symbols"]) >= 9, "symbols")
    check(len(c.depth("BTCUSDT", limit=5)["bids"]) == 5, "book")
    check(c.klines("BTCUSDT", "1m", limit=3) and c.trades("BTCUSDT"), "history")
    check(c.api_key_permissions()["enableWithdrawals"] is False, "permissions")
    last = float(c.ticker_price("BTCUSDT")["price"])
    low, high = f"{last * 0.95:.2f}", f"{last * 1.05:.2f}"
    place = lambda side, kind, **k: c.new_order(symbol="BTCUSDT", side=side, type=kind, **k)
    heard = Heard()
    user = SpotWebsocketAPIClient(TWIN["spot"]["ws_api"], TWIN["api_key"], TWIN["api_secret"], on_message=heard)
    params = websocket_api_signature(TWIN["api_key"], TWIN["api_secret"], {})
    user.send({"id": "1", "method": "userDataStream.subscribe.signature", "params": params})
    order = place("BUY", "LIMIT", timeInForce="GTC", quantity="0.02", price=low)
    heard.wait("executionReport")
    heard.wait("outboundAccountPosition")
    check(c.get_order("BTCUSDT", orderId=order["orderId"])["status"] == "NEW", "query")
    smaller = {"symbol": "BTCUSDT", "orderId": order["orderId"], "newQty": "0.01"}
    amended = c.sign_request("PUT", "/api/v3/order/amend/keepPriority", smaller)
    check(float(amended["amendedOrder"]["qty"]) == 0.01, "amend")
    swapped = c.cancel_and_replace(
        "BTCUSDT",
        "BUY",
        "LIMIT",
        "STOP_ON_FAILURE",
        cancelOrderId=order["orderId"],
        timeInForce="GTC",
        quantity="0.02",
        price=low,
    )
    check(swapped["newOrderResult"] == "SUCCESS", "replace")
    over = place("BUY", "LIMIT", timeInForce="GTC", quantity="0.01", price=low)
    check(c.cancel_order("BTCUSDT", orderId=over["orderId"])["status"] == "CANCELED", "cancel")
    for tif in ("IOC", "FOK"):
        check(place("BUY", "LIMIT", timeInForce=tif, quantity="0.01", price=low)["status"] == "EXPIRED", tif)
    user.new_order("BTCUSDT", "SELL", "MARKET", quantity="0.001")
    check(place("BUY", "MARKET", quoteOrderQty="100")["status"] == "FILLED", "market by amount")
    place("SELL", "LIMIT_MAKER", quantity="0.01", price=high)
    place("SELL", "STOP_LOSS_LIMIT", timeInForce="GTC", quantity="0.01", price=low, stopPrice=low)
    place("SELL", "STOP_LOSS", quantity="0.01", stopPrice=low)
    place("SELL", "TAKE_PROFIT", quantity="0.01", stopPrice=high)
    place("SELL", "TAKE_PROFIT_LIMIT", timeInForce="GTC", quantity="0.01", price=high, stopPrice=high)
    place("SELL", "STOP_LOSS", quantity="0.01", trailingDelta=100)
    check(len(c.get_open_orders("BTCUSDT")) == 7, "open orders")
    check(len(c.cancel_open_orders("BTCUSDT")) == 7, "cancel all")
    user.stop()
    check(c.my_trades("BTCUSDT") and c.account()["balances"], "account")
    heard = Heard()
    streams = SpotWebsocketStreamClient(stream_url=TWIN["spot"]["ws"], on_message=heard)
    streams.trade(symbol="btcusdt")
    streams.diff_book_depth(symbol="btcusdt", speed=100)
    streams.kline(symbol="btcusdt", interval="1m")
    heard.wait("depthUpdate")
    heard.wait("kline")
    heard.wait("trade")
    streams.stop()


def usdm():
    c = UMFutures(TWIN["api_key"], TWIN["api_secret"], base_url=TWIN["usdm"]["rest"])
    check(len(c.exchange_info()["symbols"]) >= 9, "symbols")
    check(len(c.depth("BTCUSDT", limit=5)["bids"]) == 5 and c.klines("BTCUSDT", "1m", limit=3), "market")
    check(c.trades("BTCUSDT") and c.agg_trades("BTCUSDT"), "trades")
    check(float(c.mark_price("BTCUSDT")["markPrice"]) > 0, "mark")
    key = c.new_listen_key()["listenKey"]
    heard = Heard()
    user = UMFuturesWebsocketClient(stream_url=TWIN["usdm"]["ws"] + "/private", on_message=heard)
    user.user_data(listen_key=key)
    last = float(c.ticker_price("BTCUSDT")["price"])
    low = f"{last * 0.97:.1f}"
    order = c.new_order(symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price=low)
    heard.wait("ORDER_TRADE_UPDATE")
    lower = f"{last * 0.96:.1f}"
    changed = c.modify_order(symbol="BTCUSDT", side="BUY", quantity="0.02", price=lower, orderId=order["orderId"])
    check(float(changed["origQty"]) == 0.02, "modify")
    check(c.query_order("BTCUSDT", orderId=order["orderId"])["status"] == "NEW", "query")
    check(c.cancel_order("BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED", "cancel")
    done = c.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01", newOrderRespType="RESULT")
    check(done["status"] == "FILLED", "market")
    heard.wait("ACCOUNT_UPDATE")
    check(float(c.get_position_risk(symbol="BTCUSDT")[0]["positionAmt"]) == 0.01, "position")
    check(c.balance() and c.account()["assets"] and c.get_account_trades("BTCUSDT"), "account")
    check(c.change_leverage("BTCUSDT", 5)["leverage"] == 5, "leverage")
    place = lambda side, kind, **k: c.new_order(symbol="BTCUSDT", side=side, type=kind, quantity="0.01", **k)
    check(place("BUY", "LIMIT", timeInForce="IOC", price=low, newOrderRespType="RESULT")["status"] == "EXPIRED", "IOC")
    try:
        place("BUY", "LIMIT", timeInForce="FOK", price=low)
        check(False, "all or nothing that cannot trade was taken")
    except ClientError as e:
        check(e.error_code == -5021, e)
    high = f"{last * 1.03:.1f}"
    place("SELL", "LIMIT", timeInForce="GTX", price=high)
    place("BUY", "LIMIT", timeInForce="GTD", price=low, goodTillDate=(c.time()["serverTime"] // 1000 + 3600) * 1000)
    check(len(c.get_orders(symbol="BTCUSDT")) == 2, "open orders")
    # The connector has no functions for conditional orders, which have left the order endpoint.
    algo = lambda method, path, **k: c.sign_request(method, f"/fapi/v1/{path}", {"symbol": "BTCUSDT", **k})
    stop = lambda kind, **k: algo(
        "POST", "algoOrder", algoType="CONDITIONAL", side="SELL", type=kind, quantity="0.01", reduceOnly="true", **k
    )
    first = stop("STOP_MARKET", triggerPrice=low)
    stop("STOP", triggerPrice=low, price=low, timeInForce="GTC")
    stop("TAKE_PROFIT_MARKET", triggerPrice=high)
    stop("TAKE_PROFIT", triggerPrice=high, price=high, timeInForce="GTC")
    stop("TRAILING_STOP_MARKET", callbackRate="1")
    heard.wait("ALGO_UPDATE")
    check(len(algo("GET", "openAlgoOrders")) == 5, "conditional orders")
    algo("DELETE", "algoOrder", algoId=first["algoId"])
    algo("DELETE", "algoOpenOrders")
    check(not algo("GET", "openAlgoOrders"), "conditional orders are gone")
    closed = place("SELL", "MARKET", reduceOnly="true", newOrderRespType="RESULT")
    check(closed["status"] == "FILLED", "close")
    check(c.cancel_open_orders("BTCUSDT")["code"] == 200, "cancel all")
    check(c.countdown_cancel_order("BTCUSDT", 60000)["countdownTime"] == "60000", "countdown")
    user.stop()
    heard = Heard()
    market = UMFuturesWebsocketClient(stream_url=TWIN["usdm"]["ws"] + "/market", on_message=heard)
    market.agg_trade(symbol="btcusdt")
    market.mark_price(symbol="btcusdt", speed=1)
    heard.wait("markPriceUpdate")
    heard.wait("aggTrade")
    market.stop()


spot()
usdm()
print("ok")
