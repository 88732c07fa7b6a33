//! Reads PEM text and the outer structure of PKCS#8, as far as a signer needs.
//! Never: accepts what it does not fully understand, or leaves key bytes in memory it owned.

use super::{KeyError, KeyKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// 1.3.101.112
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The bytes between `BEGIN PRIVATE KEY` and its end.
pub(super) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let label = text.strip_prefix("-----BEGIN ").and_then(|t| t.split_once("-----")).ok_or(KeyError::BadPem)?;
    let (label, rest) = label;
    let end = rest.find("-----END ").ok_or(KeyError::BadPem)?;
    let (body, tail) = rest.split_at(end);
    match label {
        "PRIVATE KEY" => {}
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        // The older forms say in a header line that they are encrypted.
        _ if body.contains("ENCRYPTED") => return Err(KeyError::Encrypted),
        _ if label.ends_with("PUBLIC KEY") => return Err(KeyError::PublicKey),
        _ if label.ends_with("PRIVATE KEY") => return Err(KeyError::NotPkcs8),
        _ => return Err(KeyError::BadPem),
    }
    if tail.trim_end() != "-----END PRIVATE KEY-----" {
        return Err(KeyError::BadPem);
    }
    let mut packed = Zeroizing::new(String::with_capacity(body.len()));
    packed.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    // Decoding into a buffer of full size: one that grew would leave its smaller selves behind.
    let mut der = Zeroizing::new(vec![0; packed.len()]);
    let len = STANDARD.decode_slice(packed.as_bytes(), &mut der).map_err(|_| KeyError::BadPem)?;
    der.truncate(len);
    Ok(der)
}

/// The algorithm that the key itself names.
pub(super) fn key_kind(der: &[u8]) -> Result<KeyKind, KeyError> {
    let (_, algorithm, _) = pkcs8(der).ok_or(KeyError::NotPkcs8)?;
    if algorithm.starts_with(ED25519) {
        Ok(KeyKind::Ed25519)
    } else if algorithm.starts_with(RSA) {
        Ok(KeyKind::Rsa)
    } else {
        Err(KeyError::UnknownAlgorithm)
    }
}

/// The 32 secret bytes of an Ed25519 key: an octet string in the key's octet string.
pub(super) fn ed25519_seed(der: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let (_, _, key) = pkcs8(der)?;
    let (seed, rest) = element(0x04, key)?;
    let seed: [u8; 32] = seed.try_into().ok()?;
    rest.is_empty().then(|| Zeroizing::new(seed))
}

/// Version, algorithm and key octets of a PKCS#8 structure (version 2 may carry more behind them).
fn pkcs8(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (info, rest) = element(0x30, der)?;
    if !rest.is_empty() {
        return None;
    }
    let (version, rest) = element(0x02, info)?;
    let (algorithm, rest) = element(0x30, rest)?;
    let (key, _) = element(0x04, rest)?;
    Some((version, algorithm, key))
}

/// The content of a DER element with this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[have, first], rest) = der.split_first_chunk::<2>()?;
    if have != tag {
        return None;
    }
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => {
            let (high, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*high)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}
