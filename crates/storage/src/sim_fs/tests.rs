//! What the simulated disk keeps, loses and refuses.
//! Never: a real file.

use super::*;
use crate::fs::{create_dir_durably, write_atomic};

fn dir() -> PathBuf {
    PathBuf::from("/d")
}

fn disk(seed: u64) -> SimFs {
    let fs = SimFs::new(seed);
    create_dir_durably(&fs, &dir()).unwrap();
    fs
}

#[test]
fn synced_content_survives_and_the_rest_varies_by_seed() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..64 {
        let fs = disk(seed);
        let path = dir().join("f");
        let mut file = fs.open(&path).unwrap();
        file.append(&[1; 700]).unwrap();
        file.sync_data().unwrap();
        fs.sync_dir(&dir()).unwrap();
        file.append(&[2; 2000]).unwrap();
        fs.crash();
        let after = fs.read(&path).unwrap();
        assert!(after.len() >= 700 && after[..700].iter().all(|b| *b == 1), "seed {seed}");
        assert!(after[700..].iter().all(|b| *b == 2 || *b == 0), "seed {seed}");
        assert!(file.append(b"x").is_err(), "an old handle must be dead");
        outcomes.insert(after);
    }
    assert!(outcomes.len() > 20, "crashes should differ: {}", outcomes.len());
}

#[test]
fn a_name_needs_its_directory_synced() {
    let kept = (0..32).filter(|seed| {
        let fs = disk(*seed);
        let mut file = fs.open(&dir().join("f")).unwrap();
        file.append(b"x").unwrap();
        file.sync_data().unwrap();
        fs.crash();
        fs.exists(&dir().join("f")).unwrap()
    });
    let kept = kept.count();
    assert!((1..32).contains(&kept), "{kept}");
}

#[test]
fn atomic_write_is_old_or_new_at_every_power_off() {
    for seed in 0..8 {
        for at in 1..12 {
            let fs = disk(seed);
            let path = dir().join("f");
            write_atomic(&fs, &path, &[1; 1500]).unwrap();
            fs.power_off_in(at);
            let done = write_atomic(&fs, &path, &[2; 1800]).is_ok();
            fs.crash();
            let now = fs.read(&path).unwrap();
            assert!(now == [1; 1500] || now == [2; 1800], "seed {seed} at {at}");
            assert!(!done || now == [2; 1800], "seed {seed} at {at}");
        }
    }
}

#[test]
fn a_failed_sync_loses_its_pages_even_if_the_next_succeeds() {
    let fs = disk(1);
    let path = dir().join("f");
    let mut file = fs.open(&path).unwrap();
    fs.sync_dir(&dir()).unwrap();
    file.append(&[7; 100]).unwrap();
    fs.fail_sync(1);
    assert!(file.sync_data().is_err());
    assert_eq!(fs.read(&path).unwrap(), [7; 100]);
    file.sync_data().unwrap();
    fs.crash();
    assert_eq!(fs.read(&path).unwrap(), [0; 100]);
}

#[test]
fn full_and_read_only() {
    let fs = disk(1);
    fs.set_capacity(Some(10));
    let mut file = fs.open(&dir().join("f")).unwrap();
    let error = file.append(&[1; 20]).unwrap_err();
    assert_eq!((error.kind(), fs.used()), (io::ErrorKind::StorageFull, 10));
    fs.set_read_only(true);
    assert_eq!(file.append(&[1]).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
}
