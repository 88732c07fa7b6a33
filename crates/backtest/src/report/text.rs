//! Text of a page: made safe for markup, and numbers and times for people.
//! Never: lets a name from outside become markup or script.

use ctos_types::UnixNanos;

/// For text and quoted attributes.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

/// JSON that may stand in a `<script>`: nothing in it can end the element or open a comment.
pub fn json_for_script(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            _ => safe.push(c),
        }
    }
    safe
}

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// An amount for reading: two places, more for what is smaller than one, none from a hundred thousand on.
pub fn amount(v: f64) -> String {
    let places = match v.abs() {
        size if size >= 1e5 => 0,
        size if size >= 1.0 || size == 0.0 => 2,
        size => (3 - libm::log10(size).floor() as i32).clamp(2, 8) as usize,
    };
    let text = format!("{v:.places$}");
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |d| ("\u{2212}", d));
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    match whole.parse() {
        Ok(n) if rest.is_empty() => format!("{sign}{}", count(n)),
        Ok(n) => format!("{sign}{}.{rest}", count(n)),
        Err(_) => text,
    }
}

/// `2022-01-31 23:59`.
pub fn minute(at: UnixNanos) -> String {
    at.to_string().chars().take(16).collect::<String>().replace('T', " ")
}

/// The two largest units: `30 d 12 h`.
pub fn span(nanos: i64) -> String {
    let mut rest = nanos.max(0) / 1_000_000_000;
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)] {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", count((rest / size) as u64)));
            rest %= size;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() { "less than a second".to_owned() } else { parts.join(" ") }
}

/// Standard base64 with padding, as a Content-Security-Policy writes digests.
pub fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let n = part.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - part.len()));
        for i in 0..4 {
            let sign = SIGNS[(n >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= part.len() { char::from(sign) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_stay_text() {
        let name = "</script><img src=x onerror='a()'>\"&\u{2028}";
        assert_eq!(escape(name), "&lt;/script&gt;&lt;img src=x onerror=&#39;a()&#39;&gt;&quot;&amp;\u{2028}");
        let json = json_for_script(&serde_json::to_string(name).unwrap());
        assert!(!json.contains(['<', '>', '&', '\u{2028}']));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), name);
    }

    #[test]
    fn numbers_and_spans_read_well() {
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((amount(-1234.5), amount(0.00012346)), ("\u{2212}1,234.50".into(), "0.0001235".into()));
        assert_eq!((amount(0.0), amount(99.999)), ("0.00".into(), "100.00".into()));
        assert_eq!((amount(878_168.4), amount(-1e30)), ("878,168".into(), format!("{:.0}", -1e30)));
        assert_eq!(span(90_061 * 1_000_000_000), "1 d 1 h");
        assert_eq!((span(86_400 * 1_000_000_000), span(5)), ("1 d".into(), "less than a second".into()));
        assert_eq!(minute(UnixNanos::from_secs(1_641_038_400)), "2022-01-01 12:00");
    }

    #[test]
    fn base64_as_in_rfc_4648() {
        for (plain, want) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), want);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }
}
