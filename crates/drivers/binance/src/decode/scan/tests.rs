use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn eight_digits_are_what_the_library_reads(text in "[0-9]{0,8}[\\x00-/:-\\x7f]?[0-9é]{0,9}.{8}") {
        let chunk = *text.as_bytes().first_chunk::<8>().unwrap();
        let (n, value) = digits8(chunk);
        let want = chunk.iter().take_while(|b| b.is_ascii_digit()).count();
        prop_assert_eq!(n, want);
        let read = std::str::from_utf8(&chunk[..n]).unwrap().parse().unwrap_or(0);
        prop_assert_eq!(value, read);
    }

    #[test]
    fn plain_text_ends_where_it_must(bytes in prop::collection::vec(prop_oneof![8 => 0x20u8..0x7f, 1 => any::<u8>()], 0..40)) {
        let want = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20 | 0x7f..)).unwrap_or(bytes.len());
        prop_assert_eq!(plain_text(&bytes), want);
    }

    #[test]
    fn quick_and_slow_numbers_agree(text in "[0-9]{0,10}(\\.[0-9]{0,10})?", places in 0u8..=18, tail in "\"[,}\\]]{0,9}") {
        let bytes = format!("{text}{tail}");
        let (mut quick, mut slow) = (Scan::new(bytes.as_bytes()), Scan::new(bytes.as_bytes()));
        let read = quick.mantissa(places);
        prop_assert_eq!(read, slow.mantissa_slow(places));
        if read.is_some() {
            prop_assert_eq!(quick.rest, slow.rest);
        }
    }

    #[test]
    fn integers_are_what_the_library_reads(text in "[0-9]{0,22}", tail in "[,}]{0,9}") {
        let bytes = format!("{text}{tail}");
        let plain = !text.is_empty() && text.len() <= 19 && (text.len() == 1 || !text.starts_with('0'));
        prop_assert_eq!(Scan::new(bytes.as_bytes()).integer(), text.parse().ok().filter(|_| plain));
    }
}
