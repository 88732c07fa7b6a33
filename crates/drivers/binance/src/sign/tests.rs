use super::*;
use proptest::prelude::*;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::signature::{SignatureEncoding, Signer as _, Verifier};

// The venue's published example keys: they open nothing.
const SPOT: (&str, &str) = (
    "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
);
const USDM: (&str, &str) = (
    "dbefbc809e3e83c283a984c3a1459732ea7db1360ca80c5c2c8867408d28cc83",
    "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
);
/// The seed of RFC 8032's first test.
const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const ED25519_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";
const WIDE: &str = "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96";

fn ws_order(key: &str, symbol: &str, price: &str, qty: &str, window: u32, side: &str) -> String {
    format!(
        "apiKey={key}&price={price}&quantity={qty}&recvWindow={window}&side={side}&symbol={symbol}&timeInForce=GTC&\
         timestamp=1645423376532&type=LIMIT"
    )
}

#[test]
fn hmac_vectors() {
    let spot = Credentials::new(SPOT.0, SPOT.1).unwrap();
    let rest = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
    let check = |keys: &Credentials, payload: &str, want: &str| assert_eq!(keys.sign(payload.as_bytes()), want);
    check(&spot, rest, "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71");
    let wide = rest.replace("LTCBTC", WIDE);
    check(&spot, &wide, "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3");
    // Query, then body, nothing between.
    let (query, body) = rest.split_once("&quantity").unwrap();
    assert_eq!(
        spot.sign_parts(query.as_bytes(), format!("quantity{body}").as_bytes()),
        "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    );
    let ws = ws_order(SPOT.0, "BTCUSDT", "52000.00", "0.01000000", 100, "SELL");
    check(&spot, &ws, "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24");
    let ws = ws_order(SPOT.0, "１２３４５６", "0.10000000", "1.00000000", 5000, "BUY");
    check(&spot, &ws, "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd");

    let usdm = Credentials::new(USDM.0, USDM.1).unwrap();
    let rest = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943";
    check(&usdm, rest, "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9");
    assert_eq!(
        usdm.sign_parts(
            b"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC",
            b"quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
        ),
        "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4"
    );
}

#[test]
fn ed25519_vectors() {
    let key = "4yNzx3yWC5bS6YTwEkSRaC0nRmSQIIStAUOh1b6kqaBrTLIhjCpI5lJH8q8R8WNO";
    let keys = Credentials::new(key, ED25519).unwrap();
    assert_eq!(keys.kind(), KeyKind::Ed25519);
    let rest = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=0.2&timestamp=1668481559918&recvWindow=5000";
    let ws = ws_order(key, "BTCUSDT", "52000.00", "0.01000000", 100, "SELL");
    for (payload, want) in [
        (rest.to_string(), "XtZirsmmi0noRzUfkqktvkVfxpkq/WtbLg2UOL3QGYdUBZVlqOBEMuEVw8zioY93N54NcKj9UuAXQEa9zgTDBg=="),
        (
            rest.replace("BTCUSDT", WIDE),
            "FWYdifsZ1T+XvAR4JXeCD399kQM9CBUnEKjWb0+jS1X00g+LgvtR8uBv2T7dn1gFf9GPIhHnYlM+6vBsJOnMDA==",
        ),
        (ws, "Ws+5m/CMnpkko0uBFxGTZ2+fjqqBXsUjRiaz173fPhXTkhoDBYNZ6wcYNeWItdrGn1pvG7vkwx2fhmJdAZ3KDQ=="),
        (
            format!("apiKey={key}&timestamp=1649729878532"),
            "NBJq5sX1RkU7ta3XDctruMgnrhyBcouMvvPIxxQSCUbVWxhp3ai6W7a0Iip/3nOwmJxkVIv6n20cekYCOa5qAg==",
        ),
    ] {
        assert_eq!(keys.sign(payload.as_bytes()), want, "{payload}");
    }
    // Version 2 carries the public key behind the private one; still the same signature.
    let mut der = pem::decode(ED25519.trim()).unwrap().to_vec();
    der[4] = 1;
    der.extend([0x81, 0x21, 0x00]);
    der.extend(
        SigningKey::from_bytes(&pem::ed25519_seed(&pem::decode(ED25519.trim()).unwrap()).unwrap())
            .verifying_key()
            .as_bytes(),
    );
    der[1] = (der.len() - 2) as u8;
    let v2 = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", STANDARD.encode(der));
    assert_eq!(Credentials::new(key, &v2).unwrap().sign(b"x"), keys.sign(b"x"));
}

/// SplitMix64: the test's keys are the same every time.
struct Seeded(u64);

impl rsa::rand_core::RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for chunk in dest.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Seeded {}

#[test]
fn rsa_round_trip_and_a_second_implementation() {
    let private = rsa::RsaPrivateKey::new(&mut Seeded(20_260_721), 2048).unwrap();
    let pem = private.to_pkcs8_pem(LineEnding::LF).unwrap();
    let keys = Credentials::new("key", &pem).unwrap();
    assert_eq!(keys.kind(), KeyKind::Rsa);
    let payload = b"symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=0.2&timestamp=1668481559918&recvWindow=5000";
    let signature = keys.sign(payload);
    assert_eq!(signature.len(), 344);
    let second = rsa::pkcs1v15::SigningKey::<rsa::sha2::Sha256>::new(private.clone());
    assert_eq!(signature, STANDARD.encode(second.sign(payload).to_bytes()), "PKCS#1 v1.5 has one signature a text");
    let public = rsa::pkcs1v15::VerifyingKey::<rsa::sha2::Sha256>::new(private.to_public_key());
    let bytes = STANDARD.decode(&signature).unwrap();
    let parsed = rsa::pkcs1v15::Signature::try_from(&bytes[..]).unwrap();
    public.verify(payload, &parsed).unwrap();
    assert!(public.verify(b"another payload", &parsed).is_err());
    assert_eq!(keys.sign_parts(&payload[..40], &payload[40..]), signature);
    // Windows line ends and blanks around are what copies have.
    let copied = format!("\r\n{}\r\n", pem.replace('\n', "\r\n"));
    assert_eq!(Credentials::new(" key ", &copied).unwrap().sign(payload), signature);
}

#[test]
fn what_is_no_key_is_refused_with_the_reason() {
    let fails = |key: &str, secret: &str, want: KeyError| {
        let e = Credentials::new(key, secret).unwrap_err();
        assert_eq!(e, want);
        assert!(e.to_string().contains("hint: "), "{e}");
    };
    fails("", "s", KeyError::NoApiKey);
    fails("a b", "s", KeyError::BadApiKey);
    fails("\"quoted\"", "s", KeyError::BadApiKey);
    fails("k", " \n", KeyError::NoSecret);
    fails("k", "two words", KeyError::BadSecret);
    fails("k", ED25519_PUBLIC, KeyError::PublicKey);
    let labelled = |label: &str| ED25519.replace("PRIVATE KEY", label);
    fails("k", &labelled("ENCRYPTED PRIVATE KEY"), KeyError::Encrypted);
    fails("k", &labelled("RSA PRIVATE KEY"), KeyError::NotPkcs8);
    fails("k", &labelled("EC PRIVATE KEY"), KeyError::NotPkcs8);
    fails("k", &labelled("CERTIFICATE"), KeyError::BadPem);
    let old =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    fails("k", old, KeyError::Encrypted);
    fails("k", &ED25519.replace("rn9g", "rn9"), KeyError::BadPem);
    fails("k", &ED25519.replace("rn9g\n", ""), KeyError::NotPkcs8);
    fails("k", ED25519.split_once("-----END").unwrap().0, KeyError::BadPem);
    // The same bytes under another algorithm (X25519: 1.3.101.110).
    fails("k", &ED25519.replace("BQYDK2VwBCIE", "BQYDK2VuBCIE"), KeyError::UnknownAlgorithm);
}

#[test]
fn nothing_secret_is_shown() {
    let keys = Credentials::new(SPOT.0, SPOT.1).unwrap();
    let shown = format!("{keys:?}");
    assert!(!shown.contains(&SPOT.0[..8]) && !shown.contains(&SPOT.1[..8]), "{shown}");
    assert!(shown.contains("Hmac"), "{shown}");
}

proptest! {
    #[test]
    fn no_pem_makes_it_panic(at in any::<prop::sample::Index>(), into in "[A-Za-z0-9+/= \n-]{0,6}", len in 0usize..6) {
        let mut bytes = ED25519.as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + len).min(bytes.len());
        bytes.splice(start..end, into.bytes());
        let _ = Credentials::new("k", std::str::from_utf8(&bytes).unwrap());
    }

    #[test]
    fn no_der_makes_it_panic(der in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = pem::key_kind(&der);
        let _ = pem::ed25519_seed(&der);
    }
}
