use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::publish::settings::ClipFormat;
use crate::publish::store::Circumstances;
use crate::publish::store::begin_for_tests;
use crate::publish::wire::ModelInfo;

/// A folder with a store that began a minute ago, and its shelf.
fn shelf() -> (tempfile::TempDir, Shelf) {
    let folder = tempfile::tempdir().unwrap();
    let shelf = with_store(&folder, "events.db");
    (folder, shelf)
}

/// A new store of this name, and a shelf with it.
fn with_store(folder: &tempfile::TempDir, store: &str) -> Shelf {
    let store = folder.path().join(store);
    let model = ModelInfo { name: "m".to_owned(), sha256: "s".to_owned(), labels: 1 };
    begin_for_tests(
        &store,
        &Circumstances { instance: "a".to_owned(), node: "pi".to_owned(), model, configuration: String::new() },
    );
    Shelf::open(&folder.path().join("clips"), &store).unwrap()
}

fn name(id: u128, from: Timestamp) -> String {
    ClipName { from, slug: "glass".to_owned(), event: Uuid::from_u128(id), format: ClipFormat::Flac }.file()
}

fn row(id: u128, file: &str, state: ClipState) -> ClipRow {
    let from = ClipName::read(file).unwrap().from;
    ClipRow { event: Uuid::from_u128(id), label: "Glass".to_owned(), source: "hall".to_owned(), ..adopted_row(file, from, state) }
}

fn adopted_row(file: &str, from: Timestamp, state: ClipState) -> ClipRow {
    ClipRow { state, from, to: from, ..adopted(&ClipName::read(file).unwrap(), file.to_owned(), 3) }
}

fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(5)
}

#[test]
fn what_nobody_knows_is_cleared_what_is_gone_is_marked_and_strangers_are_left_alone() {
    let (_folder, shelf) = shelf();
    let put = |file: &str| std::fs::write(shelf.folder().join(file), b"abc").unwrap();
    let (kept, gone, orphan) = (name(1, later()), name(2, later()), name(3, later()));
    let old = name(4, Timestamp::from_second(1_000_000_000).unwrap());
    [&kept, &orphan, &old].iter().for_each(|file| put(file));
    put(&unfinished(&orphan));
    put("holiday.flac");
    shelf.table.put(&[row(1, &kept, ClipState::Kept), row(9, &kept, ClipState::Kept), row(2, &gone, ClipState::Kept)]).unwrap();
    let agreed = shelf.agree().unwrap();
    assert_eq!(agreed, Agreed { orphans: 1, unfinished: 1, missing: 1, adopted: 1, missing_in_all: 1 });
    let mut files: Vec<String> =
        std::fs::read_dir(shelf.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let mut expected = vec![old.clone(), kept.clone(), "holiday.flac".to_owned()];
    expected.sort();
    assert_eq!(files, expected);
    let state = |id| shelf.table.of(Uuid::from_u128(id)).unwrap().map(|row| row.state);
    assert_eq!(
        [1, 9, 2, 3, 4].map(state),
        [Some(ClipState::Kept), Some(ClipState::Kept), Some(ClipState::Missing), None, Some(ClipState::Kept)]
    );
    assert!(shelf.find(Uuid::from_u128(2)).unwrap_err().to_string().contains("missing, its file is gone"));
    // It comes back.
    put(&gone);
    assert_eq!(shelf.agree().unwrap(), Agreed::default());
    assert_eq!(state(2), Some(ClipState::Kept));
}

#[test]
fn clips_outlive_a_store_whose_disk_goes_and_comes_back_and_those_that_were_cleared_do_not_come_back() {
    let (folder, first) = shelf();
    let put = |file: &str| std::fs::write(first.folder().join(file), b"abc").unwrap();
    let state = |shelf: &Shelf, id| shelf.table.of(Uuid::from_u128(id)).unwrap().map(|row| row.state);
    let just_now = Timestamp::now();
    let (before, meanwhile, cleared) = (name(1, just_now), name(2, just_now), name(3, just_now));
    [&before, &cleared].iter().for_each(|file| put(file));
    first.table.put(&[row(1, &before, ClipState::Kept), row(3, &cleared, ClipState::Kept)]).unwrap();
    first.delete(Uuid::from_u128(3)).unwrap();
    // Another store is begun in the place of the first one, and keeps a clip.
    let second = with_store(&folder, "another.db");
    second.agree().unwrap();
    put(&meanwhile);
    second.table.put(&[row(2, &meanwhile, ClipState::Kept)]).unwrap();
    // The first one is there again, and the disk has a file again that was deleted before the power failed.
    put(&cleared);
    assert_eq!(first.agree().unwrap(), Agreed { adopted: 1, orphans: 1, ..Agreed::default() });
    assert_eq!([1, 2, 3].map(|id| state(&first, id)), [Some(ClipState::Kept), Some(ClipState::Kept), Some(ClipState::Cleared)]);
    assert!(first.find(Uuid::from_u128(2)).is_ok() && !first.folder().join(&cleared).exists());
    assert_eq!(first.agree().unwrap(), Agreed::default());
}

#[test]
fn a_clip_is_deleted_for_all_events_that_share_it_and_locked_for_all() {
    let (_folder, shelf) = shelf();
    let file = name(1, later());
    std::fs::write(shelf.folder().join(&file), b"abc").unwrap();
    shelf.table.put(&[row(1, &file, ClipState::Kept), row(2, &file, ClipState::Kept)]).unwrap();
    assert!(shelf.lock(Uuid::from_u128(2), true).unwrap().is_locked);
    assert!(shelf.table.of(Uuid::from_u128(1)).unwrap().unwrap().is_locked);
    shelf.delete(Uuid::from_u128(2)).unwrap();
    let other = shelf.table.of(Uuid::from_u128(1)).unwrap().unwrap();
    assert_eq!((other.state, other.file, other.reason.as_deref()), (ClipState::Cleared, None, Some("deleted by a request")));
    assert!(!shelf.folder().join(&file).exists() && shelf.delete(Uuid::from_u128(1)).is_err());
    assert!(matches!(shelf.find(Uuid::from_u128(77)), Err(ShelfError::None(_))));
}

#[test]
fn a_name_in_the_table_that_is_no_clips_never_becomes_a_path() {
    let (_folder, shelf) = shelf();
    let bad = ClipRow { file: Some("../events.db".to_owned()), ..row(1, &name(1, later()), ClipState::Kept) };
    shelf.table.put(&[bad]).unwrap();
    assert!(shelf.find(Uuid::from_u128(1)).is_err() && shelf.path("../events.db").is_none());
    shelf.clear("../events.db", "no").unwrap();
    assert!(shelf.folder().join("../events.db").exists());
}

/// The moments between which a kill can fall, of the life of a file: known, half written, written, named, kept, to be deleted, deleted.
const MOMENTS: usize = 7;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_folder_and_the_store_agree_after_a_kill_at_any_moment(moments in prop::collection::vec(0..MOMENTS, 1..12)) {
        let (_folder, shelf) = shelf();
        for (id, moment) in moments.iter().enumerate() {
            let (id, file) = (id as u128, name(id as u128, later()));
            let steps: [&dyn Fn(); MOMENTS] = [
                &|| shelf.table.put(&[row(id, &file, ClipState::Writing)]).unwrap(),
                &|| std::fs::write(shelf.unfinished(&file), b"a").unwrap(),
                &|| std::fs::write(shelf.unfinished(&file), b"abc").unwrap(),
                &|| std::fs::rename(shelf.unfinished(&file), shelf.folder().join(&file)).unwrap(),
                &|| shelf.table.put(&[row(id, &file, ClipState::Kept)]).unwrap(),
                &|| shelf.table.set(&file, ClipState::Deleting, None, 0).unwrap(),
                &|| std::fs::remove_file(shelf.folder().join(&file)).unwrap(),
            ];
            steps[..=*moment].iter().for_each(|step| step());
        }
        shelf.agree().unwrap();
        prop_assert_eq!(shelf.agree().unwrap(), Agreed::default());
        for (id, moment) in moments.iter().enumerate() {
            let found = shelf.table.of(Uuid::from_u128(id as u128)).unwrap().unwrap();
            let expected = match moment {
                0..=2 => ClipState::Dropped,
                3 | 4 => ClipState::Kept,
                _ => ClipState::Cleared,
            };
            prop_assert_eq!(found.state, expected);
            prop_assert_eq!(found.file.is_some_and(|file| shelf.folder().join(file).exists()), expected == ClipState::Kept);
        }
    }
}

#[test]
fn neither_a_link_nor_anything_else_that_is_no_file_is_opened() {
    let (folder, shelf) = shelf();
    let (secret, path) = (folder.path().join("secret"), shelf.folder().join(name(1, later())));
    std::fs::write(&secret, "geheim").unwrap();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    assert!(open_file(&path).is_err());
    std::fs::remove_file(&path).unwrap();
    // A pipe to which nobody writes holds nobody up.
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(open_file(&path).is_err());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(open_file(&path).is_err() && open_file(&secret).is_ok());
}
