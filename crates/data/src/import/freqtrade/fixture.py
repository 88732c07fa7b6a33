#!/usr/bin/env python3
"""Writes fixture.feather as freqtrade's data handler does. Needs pandas and pyarrow; made with pandas 3.1 and pyarrow 26."""

import pathlib

import pandas as pd

ROWS = [
    (1514764800000, 13715.65, 13715.65, 13681.0, 13707.92, 2.846266),
    (1514765100000, 13707.91, 13707.91, 13666.11, 13694.92, 4.366),
    (1514765400000, 13689.99, 13690.0, 13647.4, 13680.87, 0.1 + 0.2),
    (1514766000000, 1e-8, 1.5e-7, 1e-8, 9.9e-8, 123456789.0),
]

frame = pd.DataFrame(ROWS, columns=["date", "open", "high", "low", "close", "volume"])
frame["date"] = pd.to_datetime(frame["date"], unit="ms", utc=True)
frame.to_feather(pathlib.Path(__file__).with_name("fixture.feather"), compression_level=9, compression="lz4")
