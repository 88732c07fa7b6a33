//! The paper driver: the simulated exchange and its latency behind the driver contract.
