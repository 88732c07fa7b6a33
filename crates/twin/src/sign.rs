//! Whether a request was signed by the owner of a key. The server's half only: this crate shares nothing with a client.
//! Never: makes a signature (tests do).

use crate::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, signature};
use serde::{Deserialize, Serialize};

/// What the server knows of a key: a shared secret, or the public half.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum KeyMaterial {
    Hmac {
        secret: String,
    },
    /// PEM of the public key (`BEGIN PUBLIC KEY`).
    Rsa {
        public_key: String,
    },
    Ed25519 {
        public_key: String,
    },
}

impl std::fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            KeyMaterial::Hmac { .. } => "Hmac(***)",
            KeyMaterial::Rsa { .. } => "Rsa",
            KeyMaterial::Ed25519 { .. } => "Ed25519",
        })
    }
}

/// Key material ready for checking.
#[derive(Clone)]
pub(crate) enum Verifier {
    Hmac(hmac::Key),
    /// `RSAPublicKey` in DER.
    Rsa(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

impl KeyMaterial {
    /// Errors: why the key cannot be used.
    pub(crate) fn verifier(&self) -> Result<Verifier, String> {
        match self {
            KeyMaterial::Hmac { secret } if secret.is_empty() => Err("the secret is empty".into()),
            KeyMaterial::Hmac { secret } => Ok(Verifier::Hmac(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))),
            KeyMaterial::Rsa { public_key } => {
                let der = der(public_key)?;
                let inner = bit_string(&der).ok_or("not a public key in SubjectPublicKeyInfo form")?;
                Ok(Verifier::Rsa(inner.to_vec()))
            }
            KeyMaterial::Ed25519 { public_key } => {
                let der = der(public_key)?;
                // The algorithm's OID, so that another kind of key is not taken for one.
                if !der.windows(5).any(|w| w == [0x06, 0x03, 0x2b, 0x65, 0x70]) {
                    return Err("not an Ed25519 public key".into());
                }
                let inner = bit_string(&der).filter(|k| k.len() == 32).ok_or("not an Ed25519 public key")?;
                Ok(Verifier::Ed25519(inner.to_vec()))
            }
        }
    }
}

impl Verifier {
    /// HMAC in any case; RSA and Ed25519 exactly.
    pub fn verify(&self, payload: &[u8], signature: &str) -> bool {
        match self {
            Verifier::Hmac(key) => hex(signature).is_some_and(|tag| hmac::verify(key, payload, &tag).is_ok()),
            Verifier::Rsa(key) => STANDARD.decode(signature).is_ok_and(|sig| {
                let key = signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key);
                key.verify(payload, &sig).is_ok()
            }),
            Verifier::Ed25519(key) => STANDARD.decode(signature).is_ok_and(|sig| {
                signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(payload, &sig).is_ok()
            }),
        }
    }
}

pub(crate) fn bad_signature() -> ApiError {
    ApiError::new(-1022, "Signature for this request is not valid.")
}

/// What a REST request's signature covers: raw query and raw body, nothing between, without the signature itself.
pub(crate) fn rest_payload(query: &str, body: &str) -> Vec<u8> {
    let mut out = without_signature(query);
    out.push_str(&without_signature(body));
    out.into_bytes()
}

fn without_signature(text: &str) -> String {
    let kept: Vec<&str> = text.split('&').filter(|p| !p.starts_with("signature=")).collect();
    kept.join("&")
}

/// What a WebSocket API request's signature covers: all params but the signature, sorted by name, raw.
pub(crate) fn ws_payload<'a>(params: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut all: Vec<(&str, &str)> = params.filter(|(n, _)| *n != "signature").collect();
    all.sort_unstable();
    let parts: Vec<String> = all.iter().map(|(n, v)| format!("{n}={v}")).collect();
    parts.join("&").into_bytes()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()).collect()
}

fn der(pem: &str) -> Result<Vec<u8>, String> {
    let body: String = pem.lines().filter(|l| !l.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(body).map_err(|_| "the key is not PEM".to_string())
}

/// The content of the BIT STRING that ends a SubjectPublicKeyInfo.
fn bit_string(der: &[u8]) -> Option<&[u8]> {
    let (tag, outer, _) = element(der)?;
    let (_, _, rest) = element(outer).filter(|_| tag == 0x30)?;
    let (tag, bits, _) = element(rest)?;
    (tag == 0x03 && bits.first() == Some(&0)).then(|| &bits[1..])
}

/// One DER element: tag, content, what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (*der.first()?, *der.get(1)?);
    let (len, start) = if first < 0x80 {
        (usize::from(first), 2)
    } else {
        let count = usize::from(first & 0x7f);
        let bytes = der.get(2..2 + count).filter(|_| count <= 4)?;
        (bytes.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)), 2 + count)
    };
    let end = start.checked_add(len)?;
    Some((tag, der.get(start..end)?, &der[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const ED: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----";

    #[test]
    fn official_hmac_vectors() {
        let key = KeyMaterial::Hmac { secret: SECRET.into() }.verifier().unwrap();
        let query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let sig = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        let signed = format!("{query}&signature={sig}");
        assert!(key.verify(&rest_payload(&signed, ""), sig));
        assert!(key.verify(&rest_payload(&signed, ""), &sig.to_uppercase()), "in any case");
        assert!(!key.verify(&rest_payload(&signed.replace("0.1", "0.2"), ""), sig));
        let (q, b) = (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC",
            "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
        );
        let sig = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77";
        assert!(key.verify(&rest_payload(q, &format!("{b}&signature={sig}")), sig));
        let encoded = "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        assert!(
            key.verify(&rest_payload(encoded, ""), "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3")
        );
    }

    #[test]
    fn official_ws_vector_and_ed25519() {
        let key = KeyMaterial::Hmac { secret: SECRET.into() }.verifier().unwrap();
        let api_key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
        let mut params = vec![
            ("symbol", "１２３４５６"),
            ("side", "BUY"),
            ("type", "LIMIT"),
            ("timeInForce", "GTC"),
            ("quantity", "1.00000000"),
            ("price", "0.10000000"),
            ("recvWindow", "5000"),
            ("timestamp", "1645423376532"),
            ("apiKey", api_key),
        ];
        let sig = "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd";
        params.push(("signature", sig));
        assert!(key.verify(&ws_payload(params.into_iter()), sig));
        let ed = KeyMaterial::Ed25519 { public_key: ED.into() }.verifier().unwrap();
        let query = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=0.2&timestamp=1668481559918&recvWindow=5000";
        let sig = "XtZirsmmi0noRzUfkqktvkVfxpkq/WtbLg2UOL3QGYdUBZVlqOBEMuEVw8zioY93N54NcKj9UuAXQEa9zgTDBg==";
        assert!(ed.verify(query.as_bytes(), sig));
        assert!(!ed.verify(query.as_bytes(), &sig.to_lowercase()), "base64 is case-sensitive");
        assert!(KeyMaterial::Ed25519 { public_key: "rubbish".into() }.verifier().is_err());
        assert!(KeyMaterial::Rsa { public_key: ED.into() }.verifier().is_ok_and(|v| !v.verify(b"x", sig)));
    }

    /// Made with another implementation and a key that was thrown away.
    #[test]
    fn rsa_vector() {
        let pem = "-----BEGIN PUBLIC KEY-----\n\
            MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAupE3Xakcr7iGzytfste9\n\
            DxRx89SbELY6Oa2TewNFYLo2EJ1BZ/o/uQJvheshu+M+pNGfaMy3VVkb1kRyUSG8\n\
            CW157mnldFgqXAIwZz+Nf8oMgZAAlbbrM+55Th6KNkYNXw9DLHcAgvYqb98C2DkZ\n\
            RgKrqkzKGDcmcFh6OGpzZktNEaNuIuvP0yoeLkl6FFQn4syutyV+SAOpQrL6AyWM\n\
            eJddEEZ5JYIJXIF7ymkw1FCfpIHekTwd4i0EwfphCzmu1lB3Su3DiZleVaa/JTYf\n\
            L5kZ/w6NcfapnRUrJcVKBK9TVfu/c/8JhEYVxInOTRZBpMO2wpRpc7AJNKH/C8VV\n\
            +wIDAQAB\n\
            -----END PUBLIC KEY-----";
        let key = KeyMaterial::Rsa { public_key: pem.into() }.verifier().unwrap();
        let payload = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=0.2&timestamp=1668481559918&recvWindow=5000";
        let sig = "liBiLqBO60OpfF4MCGD2rr0yB6pXs1zKP9f1mUtzuPNy2tJWIMgh964+OJUI7uDRHvrzROdwL7MXtjZEnKgn0MB63CUsm9JKaULquWHcPSzlDRZV9zFcNymQhMIZqPFzwPtreDBfzptyFitS5faqgzsHM3wg13uqFIdq2PPlXhsHDoQ6csalfIxeVZlSpOKX01Z42aqF0Z/QL4SJKrLcZWdGDxrHaJL9dH4T0z459tnRdJw2k7aKwIgmlBSVvjc3Lu4QIM4tS1TR2OIshNz3d0DYYX+ZJrcsxnj4smZOBXJWz1usTGIDfB33iYiuIQat47R+16moshRx3sOd5GPeWg==";
        assert!(key.verify(payload.as_bytes(), sig));
        assert!(!key.verify(payload.replace("0.2", "0.3").as_bytes(), sig));
        assert!(!key.verify(payload.as_bytes(), &sig.to_lowercase()));
    }
}
