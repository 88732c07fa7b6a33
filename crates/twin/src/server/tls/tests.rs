//! The certificate a directory keeps.

use crate::server::StateDir;

#[test]
fn a_directory_keeps_its_certificate() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = StateDir::open(tmp.path()).unwrap();
    let (tls, file) = dir.tls().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), tls.authority());
    assert!(!tls.authority().contains("PRIVATE"), "what is handed out is no secret");
    assert_eq!(dir.tls().unwrap().0, tls);
    std::fs::write(tmp.path().join("server.pem"), "nothing").unwrap();
    let e = dir.tls().unwrap_err();
    assert!(e.message.contains("certificate") && e.hint.contains(".pem"), "{e:?}");
}
