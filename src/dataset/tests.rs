use std::fs;

use proptest::prelude::*;

use super::folds::Folds;
use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// The recordings of a data set in short: file name, fold, labels with their times.
fn short(dataset: &Dataset) -> Vec<String> {
    let label = |label: &Labelled| {
        let id = label.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        let span = label.span_s.map(|[from, to]| format!(" {from}-{to}")).unwrap_or_default();
        format!("{}{id}{span}", label.name)
    };
    let recording = |recording: &Recording| {
        let name = recording.path.file_name().unwrap().to_string_lossy();
        let labels: Vec<String> = recording.labels.iter().map(label).collect();
        format!("{name} [{}] {}", recording.fold, labels.join("; "))
    };
    dataset.recordings.iter().map(recording).collect()
}

const ESC50: &str = "filename,fold,target,category,esc10,src_file,take\n1-a.wav,1,0,dog,True,100032,A\n5-b.wav,5,14,chirping_birds,False,1,A\n5-c.wav,5,0,dog,True,2,B\n";

#[test]
fn esc50_has_folds_and_a_category_for_each_clip() {
    let place = folder(&[("meta/esc50.csv", ESC50), ("audio/1-a.wav", ""), ("audio/5-b.wav", "")]);
    let all = read(Layout::Esc50, place.path(), None).unwrap();
    assert_eq!(short(&all), ["1-a.wav [1] dog", "5-b.wav [5] chirping_birds"]);
    assert_eq!(all.missing, [place.path().join("audio/5-c.wav")]);
    let of = |folds: &str| read(Layout::Esc50, place.path(), Some(&folds.parse().unwrap()));
    assert_eq!(short(&of("2-5").unwrap()), ["5-b.wav [5] chirping_birds"]);
    assert_eq!(of("7").unwrap_err().message, "there is no fold \"7\"; the data set has the folds 1, 5");
}

#[test]
fn fsd50k_has_ids_and_parts() {
    let place = folder(&[
        (
            "FSD50K.ground_truth/dev.csv",
            "fname,labels,mids,split\n64760,\"Electric_guitar,Music\",\"/m/02sgy,/m/04rlf\",train\n7,Bark,/m/05tny_,val\n",
        ),
        ("FSD50K.ground_truth/eval.csv", "fname,labels,mids\n37199,Dog,/m/0bt9lr\n"),
        ("FSD50K.dev_audio/64760.wav", ""),
        ("FSD50K.dev_audio/7.wav", ""),
        ("FSD50K.eval_audio/37199.wav", ""),
    ]);
    let all = read(Layout::Fsd50k, place.path(), None).unwrap();
    let expected = [
        "64760.wav [train] Electric_guitar /m/02sgy; Music /m/04rlf",
        "7.wav [val] Bark /m/05tny_",
        "37199.wav [eval] Dog /m/0bt9lr",
    ];
    assert_eq!(short(&all), expected);
    assert_eq!(read(Layout::Fsd50k, place.path(), Some(&"eval".parse().unwrap())).unwrap().recordings.len(), 1);
}

#[test]
fn desed_has_times_and_takes_each_table_of_events_for_a_part() {
    let head = "filename\tonset\toffset\tevent_label\n";
    let place = folder(&[
        (
            "dataset/metadata/validation/validation.tsv",
            &format!("{head}a.wav\t1.5\t2\tRunning_water\na.wav\t3\t4\tDog\nb.wav\t\t\t\n"),
        ),
        ("dataset/metadata/eval/public.tsv", &format!("{head}a.wav\t0\t1\tSpeech\n")),
        ("dataset/metadata/train/weak.tsv", "filename\tevent_labels\na.wav\tDog,Cat\n"),
        ("dataset/audio/validation/a.wav", ""),
        ("dataset/audio/validation/b.wav", ""),
        ("dataset/audio/eval/public/a.wav", ""),
    ]);
    let all = read(Layout::Desed, place.path(), None).unwrap();
    let expected = ["a.wav [public] Speech 0-1", "a.wav [validation] Running_water 1.5-2; Dog 3-4", "b.wav [validation] "];
    assert_eq!(short(&all), expected);
    assert!(
        all.recordings[0].path.ends_with("audio/eval/public/a.wav") && all.recordings[1].path.ends_with("audio/validation/a.wav")
    );
}

#[test]
fn urbansound8k_has_a_folder_for_each_fold() {
    let table = "slice_file_name,fsID,start,end,salience,fold,classID,class\n100-3-0-0.wav,100,0.0,0.3,1,5,3,dog_bark\n";
    let place = folder(&[("metadata/UrbanSound8K.csv", table), ("audio/fold5/100-3-0-0.wav", "")]);
    assert_eq!(short(&read(Layout::Urbansound8k, place.path(), None).unwrap()), ["100-3-0-0.wav [5] dog_bark"]);
}

#[test]
fn a_recording_beside_a_label_track_has_its_labels() {
    let files = [
        ("a.flac", ""),
        ("a.txt", "0.5\t1.25\tDog\n"),
        ("sub/b.wav", ""),
        ("sub/b.txt", ""),
        ("notes.txt", "hello"),
        ("c.wav", ""),
    ];
    let place = folder(&files);
    assert_eq!(short(&read(Layout::Audacity, place.path(), None).unwrap()), ["a.flac [] Dog 0.5-1.25", "b.wav [] "]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let told = |layout: Layout, files: &[(&str, &str)]| {
        let place = folder(files);
        read(layout, place.path(), None).unwrap_err().to_string().replace(place.path().to_str().unwrap(), "F")
    };
    let faults = [
        told(Layout::Esc50, &[]),
        told(Layout::Esc50, &[("meta/esc50.csv", "filename,fold\na.wav,1\n")]),
        told(Layout::Esc50, &[("meta/esc50.csv", "filename,fold,category\na.wav,1,dog\nb.wav,1\n")]),
        told(Layout::Esc50, &[("meta/esc50.csv", "filename,fold,category\n")]),
        told(Layout::Esc50, &[("meta/esc50.csv", "filename,fold,category\na.wav,1,dog\n")]),
        told(Layout::Fsd50k, &[("FSD50K.ground_truth/eval.csv", "fname,labels,mids\n1,\"Dog,Cat\",/m/1\n")]),
        told(Layout::Desed, &[]),
        told(
            Layout::Desed,
            &[("metadata/v.tsv", "filename\tonset\toffset\tevent_label\na.wav\t2\t1\tDog\n"), ("audio/a.wav", "")],
        ),
        told(Layout::Audacity, &[("a.txt", "0\t1\tDog\n")]),
    ];
    insta::assert_snapshot!(faults.join("\n"), @r"
    F/meta/esc50.csv: the data set's table is not there; give the folder in which the data set was unpacked
    F/meta/esc50.csv:1: the column category is missing; the columns must be filename, fold, category
    F/meta/esc50.csv:3: the row ends before the column category; the file may have been cut off
    F/meta/esc50.csv:1: nothing stands below the header
    F: none of its 1 recordings is there; the first should be F/audio/a.wav
    F/FSD50K.ground_truth/eval.csv:2: 2 labels stand beside 1 ids
    F/metadata: the folder of the data set's tables is not there
    F/metadata/v.tsv:2: the offset 1 is not after the onset 2
    F: no recording in it has a label track NAME.txt beside it
    ");
    let nowhere = read(Layout::Esc50, Path::new("/nowhere"), None).unwrap_err().to_string();
    assert_eq!(nowhere, "/nowhere: there is no such folder");
}

#[test]
fn a_table_with_quotes_and_returns_is_read() {
    let rows = table::parse(b"\xef\xbb\xbfb,a\r\n\"x, y\",\"say \"\"z\"\"\"\r\n\r\n\"d\ne\",f\r\n", ["a", "b"]).unwrap();
    let row = |line, cells: [&str; 2]| table::Row { line, cells: cells.map(str::to_owned) };
    assert_eq!(rows, [row(2, ["say \"z\"", "x, y"]), row(4, ["f", "d\ne"])]);
    let fault = table::parse(b"a\n\xff\n", ["a"]).unwrap_err();
    assert_eq!(fault, (Some(2), "this line holds bytes that are not UTF-8; save the file as UTF-8".to_owned()));
}

#[test]
fn folds_are_numbers_ranges_and_names() {
    let folds: Folds = "1, 3-4,Validation".parse().unwrap();
    assert_eq!(["1", "2", "3", "4", "5", "validation"].map(|name| folds.has(name)), [true, false, true, true, false, true]);
    for (text, fault) in [
        ("4-1", "the range 4-1 ends before it begins"),
        ("1,", "a fold has no name; write them as 5, 1-4 or validation, with commas between"),
    ] {
        assert_eq!(text.parse::<Folds>().unwrap_err(), fault);
    }
}

proptest! {
    #[test]
    fn no_bytes_bring_a_table_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for row in table::parse(&bytes, ["a"]).into_iter().flatten() {
            prop_assert!(row.line > 0);
        }
    }
}
