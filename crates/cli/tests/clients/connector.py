"""The venue's own connectors trade on the twin, spot and USD-M. Argument: the twin's line of JSON.

Exits 0 when everything worked, else says what did not.
"""

import json
import sys
import threading

from binance.spot import Spot
from binance.um_futures import UMFutures
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
    order = place("BUY", "LIMIT", timeInForce="GTC", quantity="0.01", price=low)
    check(c.get_order("BTCUSDT", orderId=order["orderId"])["status"] == "NEW", "query")
    swapped = c.cancel_and_replace(
        "BTCUSDT", "BUY", "LIMIT", "STOP_ON_FAILURE", cancelOrderId=order["orderId"], timeInForce="GTC", quantity="0.02", price=low
    )
    check(swapped["newOrderResult"] == "SUCCESS", "replace")
    check(place("BUY", "MARKET", quoteOrderQty="100")["status"] == "FILLED", "market by amount")
    place("SELL", "LIMIT_MAKER", quantity="0.01", price=high)
    place("SELL", "STOP_LOSS_LIMIT", timeInForce="GTC", quantity="0.01", price=low, stopPrice=low)
    place("SELL", "STOP_LOSS", quantity="0.01", stopPrice=low)
    place("SELL", "TAKE_PROFIT", quantity="0.01", stopPrice=high)
    place("SELL", "TAKE_PROFIT_LIMIT", timeInForce="GTC", quantity="0.01", price=high, stopPrice=high)
    check(len(c.get_open_orders("BTCUSDT")) == 6, "open orders")
    check(len(c.cancel_open_orders("BTCUSDT")) == 6, "cancel all")
    check(c.my_trades("BTCUSDT") and c.account()["balances"], "account")
    heard = Heard()
    streams = SpotWebsocketStreamClient(stream_url=TWIN["spot"]["ws"], on_message=heard)
    streams.trade(symbol="btcusdt")
    streams.diff_book_depth(symbol="btcusdt", speed=100)
    heard.wait("depthUpdate")
    heard.wait("trade")
    streams.stop()


def usdm():
    c = UMFutures(TWIN["api_key"], TWIN["api_secret"], base_url=TWIN["usdm"]["rest"])
    check(len(c.exchange_info()["symbols"]) >= 9, "symbols")
    check(len(c.depth("BTCUSDT", limit=5)["bids"]) == 5 and c.klines("BTCUSDT", "1m", limit=3), "market")
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
