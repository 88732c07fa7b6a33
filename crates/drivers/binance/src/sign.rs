//! API keys and what they sign: HMAC-SHA256, RSA (PKCS#1 v1.5, SHA-256) and Ed25519.
//! Never: prints a secret, guesses a key's type from its looks, or leaves key text in memory it owned.

mod pem;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Which algorithm a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Hmac,
    Rsa,
    /// The only kind that can log on to the WebSocket API.
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            KeyKind::Hmac => "HMAC",
            KeyKind::Rsa => "RSA",
            KeyKind::Ed25519 => "Ed25519",
        })
    }
}

/// Why key or secret cannot be used. The text never holds any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the API key is empty; hint: copy it from the venue's page of API keys")]
    NoApiKey,
    #[error("the API key holds spaces or characters no key has; hint: copy it again, without quotes and line ends")]
    BadApiKey,
    #[error("the secret is empty; hint: give the HMAC secret, or the PEM text of the private key")]
    NoSecret,
    #[error(
        "the HMAC secret holds spaces or characters no secret has; hint: copy it again, without quotes and line ends"
    )]
    BadSecret,
    #[error(
        "the private key is encrypted; hint: write an unencrypted PKCS#8 PEM: openssl pkcs8 -topk8 -nocrypt -in KEY"
    )]
    Encrypted,
    #[error("this is a public key; hint: the venue has that one, the private key stays here and signs")]
    PublicKey,
    #[error("the PEM text is damaged; hint: it must run from its BEGIN line to its END line, with nothing cut off")]
    BadPem,
    #[error("the private key is not PKCS#8; hint: convert it: openssl pkcs8 -topk8 -nocrypt -in KEY")]
    NotPkcs8,
    #[error("the private key is neither Ed25519 nor RSA; hint: make one: openssl genpkey -algorithm ed25519")]
    UnknownAlgorithm,
    #[error("the RSA key cannot be used; hint: the venue takes 2048 to 4096 bits")]
    BadRsa,
}

enum Secret {
    // Boxed: the state is large, and moving it must not leave copies behind.
    Hmac(Box<Hmac<Sha256>>),
    /// `ring` does not wipe its key on drop: the one kind whose numbers stay until the memory is reused.
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<SigningKey>),
}

/// An API key with what signs for it. `Debug` shows the kind and nothing else.
pub struct Credentials {
    api_key: Zeroizing<String>,
    secret: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("api_key", &"***")
            .field("secret", &"***")
            .field("kind", &self.kind())
            .finish()
    }
}

impl Credentials {
    /// `secret` is an HMAC secret or the PEM text of a private key, told apart by its BEGIN line; what a PEM holds is
    /// read from its DER. The caller's own text is the caller's to wipe.
    ///
    /// # Errors
    /// [`KeyError`], with what to do.
    pub fn new(api_key: &str, secret: &str) -> Result<Credentials, KeyError> {
        let api_key = api_key.trim();
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\'));
        if api_key.is_empty() {
            return Err(KeyError::NoApiKey);
        }
        if !plain(api_key) {
            return Err(KeyError::BadApiKey);
        }
        let secret = secret.trim();
        let secret = if secret.is_empty() {
            return Err(KeyError::NoSecret);
        } else if secret.starts_with("-----") {
            private_key(&pem::decode(secret)?)?
        } else if plain(secret) {
            let hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
            Secret::Hmac(Box::new(hmac))
        } else {
            return Err(KeyError::BadSecret);
        };
        Ok(Credentials { api_key: Zeroizing::new(api_key.into()), secret })
    }

    /// What goes into the header or the `apiKey` parameter.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    pub fn kind(&self) -> KeyKind {
        match self.secret {
            Secret::Hmac(_) => KeyKind::Hmac,
            Secret::Rsa(_) => KeyKind::Rsa,
            Secret::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// The signature of a payload as text: hexadecimal for HMAC, base64 (not percent-encoded) for the others.
    pub fn sign(&self, payload: &[u8]) -> String {
        self.sign_parts(payload, b"")
    }

    /// The signature of two payloads with nothing between them: query and body.
    pub(crate) fn sign_parts(&self, first: &[u8], second: &[u8]) -> String {
        match &self.secret {
            Secret::Hmac(keyed) => {
                let mut mac = (**keyed).clone();
                mac.update(first);
                mac.update(second);
                hex(&mac.finalize().into_bytes())
            }
            Secret::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // The random numbers blind the arithmetic; the signature is the same with any of them.
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &[first, second].concat(), &mut signature)
                    .expect("the key was checked when it was read and the buffer has its length");
                STANDARD.encode(signature)
            }
            Secret::Ed25519(key) => STANDARD.encode(key.sign(&[first, second].concat()).to_bytes()),
        }
    }
}

fn private_key(der: &[u8]) -> Result<Secret, KeyError> {
    match pem::key_kind(der)? {
        KeyKind::Ed25519 => {
            let seed = pem::ed25519_seed(der).ok_or(KeyError::BadPem)?;
            Ok(Secret::Ed25519(Box::new(SigningKey::from_bytes(&seed))))
        }
        _ => RsaKeyPair::from_pkcs8(der).map(|key| Secret::Rsa(Box::new(key))).map_err(|_| KeyError::BadRsa),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(2 * bytes.len());
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)] as char);
        out.push(DIGITS[usize::from(b & 15)] as char);
    }
    out
}

#[cfg(test)]
mod tests;
