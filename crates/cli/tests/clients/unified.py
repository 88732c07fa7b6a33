"""A unified exchange library trades on the twin: REST and WebSocket, spot and USD-M. Argument: the twin's line of JSON.

Nothing is set but addresses, keys and documented options. Exits 0 when everything worked, else says what did not.
"""

import asyncio
import json
import sys

import ccxt.pro as ccxt

TWIN = json.loads(sys.argv[1])


def client(kind, product, **options):
    exchange = kind({"apiKey": TWIN["api_key"], "secret": TWIN["api_secret"], "options": options})
    spot, usdm = TWIN["spot"]["rest"], TWIN["usdm"]["rest"]
    exchange.urls["api"].update(public=f"{spot}/api/v3", private=f"{spot}/api/v3", sapi=f"{spot}/sapi/v1")
    for version in (1, 2, 3):
        suffix = "" if version == 1 else f"V{version}"
        exchange.urls["api"][f"fapiPublic{suffix}"] = f"{usdm}/fapi/v{version}"
        exchange.urls["api"][f"fapiPrivate{suffix}"] = f"{usdm}/fapi/v{version}"
    streams = exchange.urls["api"]["ws"]
    streams["spot"], streams["linear"] = TWIN["spot"]["ws"] + "/ws", TWIN["usdm"]["ws"] + "/ws"
    streams["ws-api"] = {"spot": TWIN["spot"]["ws_api"], "linear": TWIN["usdm"]["ws_api"]}
    return exchange


def check(ok, what):
    if not ok:
        raise AssertionError(what)


async def heard(watch, act):
    """What a stream says once something was done."""
    listening = asyncio.create_task(watch())
    await asyncio.sleep(1)
    await act()
    return await asyncio.wait_for(listening, 20)


async def market(exchange, symbol):
    markets = await exchange.load_markets()
    check(symbol in markets, "markets")
    book = await exchange.fetch_order_book(symbol, 5)
    check(len(book["bids"]) == 5 and book["bids"][0][0] < book["asks"][0][0], f"book {book}")
    check(len(await exchange.fetch_trades(symbol)) > 10, "trades")
    check(len(await exchange.fetch_ohlcv(symbol, "1m")) > 10, "candles")
    live = await asyncio.wait_for(exchange.watch_order_book(symbol), 20)
    check(live["bids"][0][0] < live["asks"][0][0], "live book")
    check((await asyncio.wait_for(exchange.watch_trades(symbol), 20))[0]["price"] > 0, "live trades")
    check((await asyncio.wait_for(exchange.watch_ohlcv(symbol, "1m"), 20))[0], "live candles")
    return (await exchange.fetch_ticker(symbol))["last"]


async def spot():
    exchange = client(ccxt.binance, "spot", fetchMarkets={"types": ["spot"]}, defaultType="spot")
    symbol = "BTC/USDT"
    try:
        last = await market(exchange, symbol)
        low, high = exchange.price_to_precision(symbol, last * 0.95), exchange.price_to_precision(symbol, last * 1.05)
        check((await exchange.fetch_balance())["USDT"]["total"] > 0, "balance")
        place = lambda *a, **k: exchange.create_order(symbol, *a, **k)
        seen = await heard(lambda: exchange.watch_orders(symbol), lambda: place("limit", "buy", 0.01, low))
        order = seen[0]
        check(order["status"] == "open", f"order event {order}")
        check((await exchange.fetch_order(order["id"], symbol))["status"] == "open", "query")
        changed = await exchange.edit_order(order["id"], symbol, "limit", "buy", 0.012, low)
        check((await exchange.cancel_order(changed["id"], symbol))["status"] == "canceled", "cancel")
        balances = await heard(exchange.watch_balance, lambda: place("market", "buy", 0.01))
        while "BTC" not in balances:
            # What the cancel freed is told first.
            balances = await asyncio.wait_for(exchange.watch_balance(), 20)
        check(balances["BTC"]["total"] > 2, "balance event")
        check((await place("market", "sell", 0.005))["status"] == "closed", "market")
        check((await place("limit", "buy", 0.01, low, {"timeInForce": "IOC"}))["status"] == "expired", "IOC")
        check((await place("limit", "buy", 0.01, low, {"timeInForce": "FOK"}))["status"] == "expired", "FOK")
        check((await place("limit", "sell", 0.01, high, {"postOnly": True}))["id"], "post-only")
        check((await place("market", "sell", 0.01, None, {"stopLossPrice": low}))["id"], "stop")
        check((await place("limit", "sell", 0.01, low, {"stopLossPrice": low}))["id"], "stop-limit")
        check((await place("market", "sell", 0.01, None, {"takeProfitPrice": high}))["id"], "take-profit")
        check((await place("limit", "sell", 0.01, high, {"takeProfitPrice": high}))["id"], "take-profit-limit")
        trailing = {"trailingPercent": 1, "stopLossOrTakeProfit": "stopLoss"}
        check((await place("market", "sell", 0.01, None, trailing))["id"], "trailing stop")
        check((await exchange.create_order_ws(symbol, "limit", "buy", 0.01, low))["id"], "over the WebSocket API")
        check(len(await exchange.fetch_open_orders(symbol)) == 7, "open orders")
        check(len(await exchange.cancel_all_orders(symbol)) == 7, "cancel all")
        check(len(await exchange.fetch_my_trades(symbol)) >= 2, "own trades")
        check(len(await exchange.fetch_trades_ws(symbol)) > 10, "trades over the WebSocket API")
        try:
            await place("limit", "buy", 100, low)
            check(False, "an order beyond the balance was taken")
        except ccxt.InsufficientFunds:
            pass
    finally:
        await exchange.close()


async def usdm():
    exchange = client(ccxt.binanceusdm, "usdm", fetchMarkets={"types": ["linear"]}, fetchCurrencies=False)
    symbol = "BTC/USDT:USDT"
    try:
        last = await market(exchange, symbol)
        low, high = exchange.price_to_precision(symbol, last * 0.97), exchange.price_to_precision(symbol, last * 1.03)
        check((await exchange.fetch_funding_rate(symbol))["markPrice"] > 0, "mark")
        check((await asyncio.wait_for(exchange.watch_mark_price(symbol), 20))["markPrice"] > 0, "live mark")
        check((await exchange.fetch_balance())["USDT"]["total"] == 100000, "balance")
        place = lambda *a, **k: exchange.create_order(symbol, *a, **k)
        seen = await heard(lambda: exchange.watch_orders(symbol), lambda: place("limit", "buy", 0.01, low))
        order = seen[0]
        check(order["status"] == "open", f"order event {order}")
        changed = await exchange.edit_order(order["id"], symbol, "limit", "buy", 0.012, low)
        check(changed["amount"] == 0.012, "modify")
        check((await exchange.fetch_order(order["id"], symbol))["amount"] == 0.012, "query")
        check((await exchange.cancel_order(order["id"], symbol))["status"] == "canceled", "cancel")
        positions = await heard(lambda: exchange.watch_positions([symbol]), lambda: place("market", "buy", 0.05))
        check(positions[0]["contracts"] == 0.05, "position event")
        check((await exchange.fetch_positions([symbol]))[0]["contracts"] == 0.05, "position")
        check((await place("limit", "sell", 0.01, high, {"postOnly": True}))["id"], "post-only")
        gone = await place("limit", "buy", 0.01, low, {"timeInForce": "IOC", "newOrderRespType": "RESULT"})
        check(gone["status"] == "expired", f"IOC {gone}")
        end = (exchange.milliseconds() // 1000 + 3600) * 1000
        check((await place("limit", "buy", 0.01, low, {"timeInForce": "GTD", "goodTillDate": end}))["id"], "GTD")
        try:
            await place("limit", "buy", 0.01, low, {"timeInForce": "FOK"})
            check(False, "all or nothing that cannot trade was taken")
        except ccxt.InvalidOrder:
            pass
        stop = await place("market", "sell", 0.05, None, {"stopLossPrice": low, "reduceOnly": True})
        await place("market", "sell", 0.05, None, {"takeProfitPrice": high, "reduceOnly": True})
        await place("market", "sell", 0.05, None, {"trailingPercent": 1, "reduceOnly": True})
        await place("limit", "sell", 0.05, low, {"stopLossPrice": low, "reduceOnly": True})
        await place("limit", "sell", 0.05, high, {"takeProfitPrice": high, "reduceOnly": True})
        check(len(await exchange.fetch_open_orders(symbol, params={"trigger": True})) == 5, "conditional orders")
        await exchange.cancel_order(stop["id"], symbol, {"trigger": True})
        await exchange.cancel_all_orders(symbol)
        await exchange.cancel_all_orders(symbol, {"trigger": True})
        check((await exchange.create_order_ws(symbol, "limit", "buy", 0.01, low))["id"], "over the WebSocket API")
        await exchange.cancel_all_orders(symbol)
        one = {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.01, "price": float(low)}
        two = [order["id"] for order in await exchange.create_orders([one, one])]
        check([o["status"] for o in await exchange.cancel_orders(two, symbol)] == ["canceled"] * 2, "cancel a batch")
        check((await exchange.set_leverage(10, symbol))["leverage"] in (10, "10"), "leverage")
        closed = await place("market", "sell", 0.05, None, {"reduceOnly": True})
        check(closed["id"] and not await exchange.fetch_positions([symbol]), "close")
        check(len(await exchange.fetch_my_trades(symbol)) >= 2, "own trades")
        await exchange.set_position_mode(True)
        check((await place("market", "buy", 0.01, None, {"positionSide": "LONG"}))["id"], "hedge mode")
    finally:
        await exchange.close()


asyncio.run(spot())
asyncio.run(usdm())
print("ok")
