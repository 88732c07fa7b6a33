//! Binance's words: frame decoding and book synchronisation.
