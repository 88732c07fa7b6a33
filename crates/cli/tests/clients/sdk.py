"""The venue's own connectors of today trade on the twin: spot and USD-M, REST, WebSocket API and streams.

Argument: the twin's line of JSON. Exits 0 when everything worked, else says what did not.
"""

import asyncio
import json
import sys

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_spot.spot import Spot

TWIN = json.loads(sys.argv[1])
KEYS = {"api_key": TWIN["api_key"], "api_secret": TWIN["api_secret"]}


def check(ok, what):
    if not ok:
        raise AssertionError(what)


def configured(kind, product):
    urls = TWIN[product]
    return kind(
        config_rest_api=ConfigurationRestAPI(base_path=urls["rest"], **KEYS),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=urls["ws_api"], **KEYS),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=urls["ws"]),
    )


def wire(message):
    """What came, by the names of the wire; user events have lost their kind on the way."""
    if isinstance(message, dict):
        return message
    return message.to_dict()


class Heard:
    """What a stream says."""

    def __init__(self, stream):
        self.all, self.more = [], asyncio.Event()
        stream.on("message", self.take)

    def take(self, message):
        self.all.append(wire(message))
        self.more.set()

    async def wait(self, good, what):
        for _ in range(200):
            if any(good(m) for m in self.all):
                return
            self.more.clear()
            try:
                await asyncio.wait_for(self.more.wait(), 0.1)
            except asyncio.TimeoutError:
                pass
        check(False, f"no {what} in {self.all}")


async def spot():
    client = configured(Spot, "spot")
    rest = client.rest_api
    check(len(rest.exchange_info().data().symbols) >= 9, "symbols")
    book = rest.depth("BTCUSDT", limit=5).data()
    check(len(book.bids) == 5 and float(book.bids[0][0]) < float(book.asks[0][0]), "book")
    check(rest.get_trades("BTCUSDT").data() and rest.klines("BTCUSDT", "1m", limit=3).data(), "history")
    check(rest.agg_trades("BTCUSDT").data(), "aggregates")
    last = float(rest.klines("BTCUSDT", "1m", limit=1).data()[0][4])
    low, high = round(last * 0.95, 2), round(last * 1.05, 2)

    api = await client.websocket_api.create_connection()
    user = await api.user_data_stream_subscribe_signature()
    events = Heard(user.stream)
    place = lambda side, kind, **k: rest.new_order("BTCUSDT", side, kind, **k).data()
    order = place("BUY", "LIMIT", time_in_force="GTC", quantity=0.02, price=low)
    check(order.status == "NEW", f"placed {order}")
    await events.wait(lambda m: m.get("x") == "NEW", "order event")
    check(rest.get_order("BTCUSDT", order_id=order.order_id).data().status == "NEW", "query")
    amended = rest.order_amend_keep_priority("BTCUSDT", 0.01, order_id=order.order_id).data()
    check(float(amended.amended_order.qty) == 0.01, f"amend {amended}")
    swapped = rest.order_cancel_replace(
        "BTCUSDT",
        "BUY",
        "LIMIT",
        "STOP_ON_FAILURE",
        cancel_order_id=order.order_id,
        time_in_force="GTC",
        quantity=0.02,
        price=low,
    ).data()
    check(swapped.new_order_result == "SUCCESS", f"replace {swapped}")
    gone = rest.delete_order("BTCUSDT", order_id=swapped.new_order_response.order_id).data()
    check(gone.status == "CANCELED", "cancel")
    check(place("BUY", "MARKET", quote_order_qty=100).status == "FILLED", "market by amount")
    check(place("SELL", "MARKET", quantity=0.001).status == "FILLED", "market")
    await events.wait(lambda m: "B" in m and "u" in m, "balances")
    check(place("BUY", "LIMIT", time_in_force="IOC", quantity=0.01, price=low).status == "EXPIRED", "IOC")
    check(place("BUY", "LIMIT", time_in_force="FOK", quantity=0.01, price=low).status == "EXPIRED", "FOK")
    place("SELL", "LIMIT_MAKER", quantity=0.01, price=high)
    place("SELL", "STOP_LOSS", quantity=0.01, stop_price=low)
    place("SELL", "STOP_LOSS_LIMIT", time_in_force="GTC", quantity=0.01, price=low, stop_price=low)
    place("SELL", "TAKE_PROFIT", quantity=0.01, stop_price=high)
    place("SELL", "TAKE_PROFIT_LIMIT", time_in_force="GTC", quantity=0.01, price=high, stop_price=high)
    place("SELL", "STOP_LOSS", quantity=0.01, trailing_delta=100)
    check(len(rest.get_open_orders("BTCUSDT").data()) == 6, "open orders")
    check(len(rest.delete_open_orders("BTCUSDT").data()) == 6, "cancel all")
    check(rest.my_trades("BTCUSDT").data() and rest.get_account().data().balances, "account")
    check(len(rest.all_orders("BTCUSDT").data()) >= 10, "history of orders")

    placed = await api.order_place("BTCUSDT", "BUY", "LIMIT", time_in_force="GTC", quantity=0.01, price=low)
    number = placed.data().result.order_id
    check((await api.order_status("BTCUSDT", order_id=number)).data().result.status == "NEW", "status over the socket")
    gone = await api.order_cancel("BTCUSDT", order_id=number)
    check(gone.data().result.status == "CANCELED", "cancel over the socket")
    await events.wait(lambda m: m.get("x") == "CANCELED", "cancel event")
    await client.websocket_api.close_connection(close_session=True)

    streams = await client.websocket_streams.create_connection()
    depth = Heard(await streams.diff_book_depth("btcusdt"))
    trades = Heard(await streams.trade("btcusdt"))
    candles = Heard(await streams.kline("btcusdt", "1m"))
    await depth.wait(lambda m: m.get("e") == "depthUpdate", "depth")
    await trades.wait(lambda m: m.get("e") == "trade", "trades")
    await candles.wait(lambda m: m.get("e") == "kline", "candles")
    await client.websocket_streams.close_connection(close_session=True)


async def usdm():
    client = configured(DerivativesTradingUsdsFutures, "usdm")
    rest = client.rest_api
    check(len(rest.exchange_information().data().symbols) >= 9, "symbols")
    check(len(rest.order_book("BTCUSDT", limit=5).data().bids) == 5, "book")
    check(rest.recent_trades_list("BTCUSDT").data(), "trades")
    check(rest.compressed_aggregate_trades_list("BTCUSDT").data(), "aggregates")
    last = float(rest.kline_candlestick_data("BTCUSDT", "1m", limit=1).data()[0][4])
    key = rest.start_user_data_stream().data().listen_key
    streams = await client.websocket_streams.create_connection()
    events = Heard(await streams.user_data(key))
    low, high = round(last * 0.97, 1), round(last * 1.03, 1)
    place = lambda side, kind, **k: rest.new_order("BTCUSDT", side, kind, **k).data()
    order = place("BUY", "LIMIT", time_in_force="GTC", quantity=0.01, price=low)
    await events.wait(lambda m: m.get("o", {}).get("x") == "NEW", "order event")
    lower = round(last * 0.96, 1)
    changed = rest.modify_order("BTCUSDT", "BUY", 0.02, lower, order_id=order.order_id).data()
    check(float(changed.orig_qty) == 0.02 and float(changed.price) == lower, f"modify {changed}")
    check(rest.query_order("BTCUSDT", order_id=order.order_id).data().status == "NEW", "query")
    check(rest.cancel_order("BTCUSDT", order_id=order.order_id).data().status == "CANCELED", "cancel")
    done = place("BUY", "MARKET", quantity=0.05, new_order_resp_type="RESULT")
    check(done.status == "FILLED", "market")
    await events.wait(lambda m: m.get("a", {}).get("P"), "position event")
    positions = rest.position_information_v3(symbol="BTCUSDT").data()
    check(float(positions[0].position_amt) == 0.05, f"position {positions}")
    gone = place("BUY", "LIMIT", time_in_force="IOC", quantity=0.01, price=low, new_order_resp_type="RESULT")
    check(gone.status == "EXPIRED", "IOC")
    try:
        place("BUY", "LIMIT", time_in_force="FOK", quantity=0.01, price=low)
        check(False, "all or nothing that cannot trade was taken")
    except BadRequestError as e:
        check("-5021" in str(e), e)
    check(place("SELL", "LIMIT", time_in_force="GTX", quantity=0.01, price=high).order_id, "post-only")
    end = (rest.check_server_time().data().server_time // 1000 + 3600) * 1000
    check(place("BUY", "LIMIT", time_in_force="GTD", good_till_date=end, quantity=0.01, price=low).order_id, "GTD")
    algo = lambda kind, **k: rest.new_algo_order(
        "CONDITIONAL", "BTCUSDT", "SELL", kind, quantity=0.01, reduce_only="true", **k
    ).data()
    stop = algo("STOP_MARKET", trigger_price=low)
    algo("STOP", trigger_price=low, price=low, time_in_force="GTC")
    algo("TAKE_PROFIT_MARKET", trigger_price=high)
    algo("TAKE_PROFIT", trigger_price=high, price=high, time_in_force="GTC")
    algo("TRAILING_STOP_MARKET", callback_rate=1)
    await events.wait(lambda m: "caid" in m.get("o", {}), "conditional event")
    check(rest.query_algo_order(algo_id=stop.algo_id).data().algo_status == "NEW", "query of a conditional order")
    check(len(rest.current_all_algo_open_orders(symbol="BTCUSDT").data()) == 5, "conditional orders")
    rest.cancel_algo_order(algo_id=stop.algo_id)
    rest.cancel_all_algo_open_orders("BTCUSDT")
    check(not rest.current_all_algo_open_orders(symbol="BTCUSDT").data(), "conditional orders are gone")
    one = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    check(len(rest.place_multiple_orders([{**one, "price": str(low)}] * 2).data()) == 2, "batch")
    check(len(rest.current_all_open_orders(symbol="BTCUSDT").data()) == 4, "open orders")
    check(rest.cancel_all_open_orders("BTCUSDT").data().code in (200, "200"), "cancel all")
    check(rest.futures_account_balance_v3().data() and rest.account_information_v3().data().assets, "account")
    check(rest.account_trade_list("BTCUSDT").data(), "own trades")
    check(rest.change_initial_leverage("BTCUSDT", 5).data().leverage == 5, "leverage")

    api = await client.websocket_api.create_connection()
    placed = await api.new_order("BTCUSDT", "BUY", "LIMIT", time_in_force="GTC", quantity=0.01, price=low)
    number = placed.data().result.order_id
    check((await api.query_order("BTCUSDT", order_id=number)).data().result.status == "NEW", "status over the socket")
    gone = await api.cancel_order("BTCUSDT", order_id=number)
    check(gone.data().result.status == "CANCELED", "cancel over the socket")
    closed = place("SELL", "MARKET", quantity=0.05, reduce_only="true", new_order_resp_type="RESULT")
    check(closed.status == "FILLED", "close")
    await client.websocket_api.close_connection(close_session=True)

    book = Heard(await streams.diff_book_depth_streams("btcusdt"))
    trades = Heard(await streams.aggregate_trade_streams("btcusdt"))
    marks = Heard(await streams.mark_price_stream("btcusdt"))
    candles = Heard(await streams.kline_candlestick_streams("btcusdt", "1m"))
    await book.wait(lambda m: m.get("e") == "depthUpdate", "depth")
    await trades.wait(lambda m: m.get("e") == "aggTrade", "trades")
    await marks.wait(lambda m: m.get("e") == "markPriceUpdate", "marks")
    await candles.wait(lambda m: m.get("e") == "kline", "candles")
    await client.websocket_streams.close_connection(close_session=True)


asyncio.run(spot())
asyncio.run(usdm())
print("ok")
