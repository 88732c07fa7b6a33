use super::*;
use crate::import::testing::{self, gz, zip};
use proptest::prelude::*;

const KLINES: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,x,ignore\n\
    1704067200000,42314.00,42335.80,42289.60,42331.90,289.641,1704067259999,12256155.2,3310,170.166,7200533.1,0\n\
    1704067260000,42331.90,42353.10,42331.80,42350.40,202.444,1704067319999,8572241.2,2547,125.5,5314134.4,0\n";
const TRADES: &str = "instrument_name,trade_id,side,price,size,created_time\n\
    BTC-USDT-SWAP,2802853319,sell,64927.5,0.2,1784822400188\nBTC-USDT-SWAP,2802853320,buy,64927.6,1,1784822400190\n";

/// Whatever the bytes are: a format or none, records, flaws or an error with a hint.
fn any_answer(name: &str, content: &[u8]) {
    testing::with_file(name, content, |path| {
        let found = detect(path);
        if let Err(e) = &found {
            assert!(!e.hint.is_empty() && !e.why.is_empty(), "{e}");
        }
        let options = ImportOptions {
            symbol: Some("okx:BTC-USDT".into()),
            interval: "1m".parse().ok(),
            market: Some("um".into()),
            ..Default::default()
        };
        for format in Format::ALL {
            for line in testing::read(format, path, &options) {
                assert!(
                    !line.starts_with("error: ") || line.split_once("| hint: ").is_some_and(|(_, h)| !h.is_empty())
                );
            }
        }
    });
}

#[test]
fn words_of_format_are_their_own() {
    let names: std::collections::BTreeSet<_> = Format::ALL.iter().map(|f| f.to_string()).collect();
    assert_eq!(names.len(), Format::ALL.len());
}

#[test]
fn nothing_is_taken_for_something() {
    for other in ["\n\n", "hello\n", "1,2,3,4,5\n", "a\tb\n", "<html>\n", "PAR1", "\0\0\0\0\0\0\0\0\0"] {
        assert_eq!(testing::with_file("x.csv", other.as_bytes(), |path| detect(path).unwrap()), None, "{other:?}");
    }
    for broken in [&b"PK\x03\x04"[..], b"\x1f\x8b\x08"] {
        let e = testing::with_file("x.zip", broken, |path| detect(path).unwrap_err());
        assert!(e.hint.contains("fetch"), "{e}");
    }
}

proptest! {
    #[test]
    fn random_bytes_are_an_answer(content in proptest::collection::vec(any::<u8>(), 0..200), head in 0usize..6) {
        let heads: [&[u8]; 6] = [b"", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"ARROW1\0\0", b"[[", b"open_time,open\n1704067200000,"];
        any_answer("BTCUSDT-1m-2024-01.zip", &[heads[head], &content].concat());
    }

    #[test]
    fn damaged_files_are_an_answer(
        which in 0usize..6,
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let text = if which % 2 == 0 { KLINES } else { TRADES }.as_bytes();
        let mut content = match which / 2 {
            0 => text.to_vec(),
            1 => gz(text),
            _ => zip(&[("BTCUSDT-1m-2024-01.csv", text)]),
        };
        for (at, byte) in hits {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if let Some(cut) = cut {
            content.truncate(cut.index(content.len()));
        }
        any_answer("um/BTCUSDT-1m-2024-01.zip", &content);
    }
}
