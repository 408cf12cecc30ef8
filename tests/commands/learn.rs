//! `mimid learn` on real sounds: a sound becomes a label, is heard, and is forgotten; and whatever cannot be learnt is told in a sentence.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{RINGTONE, VOICE, mimid, run, wav};

const SOUNDS: &str = "/usr/share/sounds/freedesktop/stereo";

fn sound(name: &str) -> String {
    format!("{SOUNDS}/{name}.oga")
}

/// A folder with a configuration and the learnt sounds beside it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.toml"), configuration).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(mimid().args(arguments).arg("--config").arg(self.path("c.toml")))
    }

    /// The output of a command that succeeds, without this folder's path.
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.shown(&output.stdout)
    }

    /// The message of a command that fails with this code.
    fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        self.shown(&output.stderr)
    }

    fn shown(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).replace(self.0.path().to_str().unwrap(), "F").replace(SOUNDS, "S").trim_end().to_owned()
    }

    /// The labels of the events in a recording.
    fn heard(&self, file: &str) -> Vec<String> {
        let table = self.told(&["scan", "--format", "tsv", file]);
        table.lines().skip(1).map(|line| line.split('\t').nth(3).unwrap().to_owned()).collect()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn is_learnt(&self, file: &str) -> bool {
        self.path("sounds").join(file).exists()
    }
}

#[test]
fn a_learnt_sound_is_a_label_like_any_other_until_it_is_forgotten() {
    let home = Home::new("");
    let melody = sound("service-login");
    assert!(!home.heard(&melody).contains(&"Hello melody".to_owned()));
    let told = home.told(&["learn", "Hello melody", &melody]);
    insta::assert_snapshot!(told.lines().filter(|line| !line.starts_with("Sounds like")).collect::<Vec<_>>().join("\n"), @r"
    Hello melody: learnt from 1 recording
      S/service-login.oga: used 0.0–1.9 s
    Told from: 646 recordings of many kinds, 0 other learnt sounds, 0 recordings of --not
    Next: 4 more recordings of the sound, from other places or at other times; 5 are enough
    Next: a recording of the room without the sound, with --not, so that it stays silent there
    F/sounds/hello_melody.toml is written; a running daemon takes it with `systemctl reload mimid`
    ");
    assert!(home.heard(&melody).contains(&"Hello melody".to_owned()));
    for other in [VOICE, RINGTONE, &sound("complete"), &sound("alarm-clock-elapsed")] {
        assert!(!home.heard(other).contains(&"Hello melody".to_owned()), "{other}");
    }
    let listed = home.told(&["labels", "hello_melody"]);
    assert!(listed.contains("Hello melody"), "{listed}");
    // The same recordings give the same bits.
    let file = home.path("sounds/hello_melody.toml");
    let first = std::fs::read(&file).unwrap();
    home.told(&["learn", "Hello melody", &melody, "--replace"]);
    assert_eq!(std::fs::read(&file).unwrap(), first);
    let told = home.told(&["learn", "Hello melody", "--forget"]);
    assert_eq!(told, "F/sounds/hello_melody.toml is removed; a running daemon forgets the sound with `systemctl reload mimid`");
    assert!(!home.is_learnt("hello_melody.toml") && !home.heard(&melody).contains(&"Hello melody".to_owned()));
}

#[test]
fn a_threshold_and_a_silence_hold_for_a_learnt_sound() {
    let home = Home::new("");
    home.told(&["learn", "Hello melody", &sound("service-login")]);
    home.put("c.toml", "[report]\nignore = [\"Hello melody\"]\n");
    assert!(!home.heard(&sound("service-login")).contains(&"Hello melody".to_owned()));
    home.put("c.toml", "[labels.\"Hello melody\"]\nmin_level_dbfs = 0.0\n");
    assert!(!home.heard(&sound("service-login")).contains(&"Hello melody".to_owned()));
    home.put("c.toml", "[labels.\"Hallo melody\"]\nthreshold = 0.5\n");
    assert!(home.refused(2, &["check"]).contains("did you mean \"Hello melody\"?"));
}

#[test]
fn recordings_are_added_checked_and_told_from_what_the_sound_is_not() {
    let home = Home::new("");
    let (melody, other) = (sound("service-login"), sound("service-logout"));
    home.told(&["learn", "Hello melody", &melody, "--is-a", "music", "--not", &other, VOICE]);
    let file = home.path("sounds/hello_melody.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("is_a = \"Music\"") && written.matches("[[negative]]").count() == 2, "{written}");
    assert!(!home.heard(&other).contains(&"Hello melody".to_owned()));
    // A check writes nothing, with recordings and without.
    let checked = home.told(&["learn", "Hello melody", "--check"]);
    assert!(checked.starts_with("Hello melody: learnt from 1 recording\n  S/service-login.oga: learnt before"), "{checked}");
    assert!(checked.contains("it stays silent there"), "{checked}");
    home.told(&["learn", "Goodbye", &other, "--check"]);
    assert!(std::fs::read_to_string(&file).unwrap() == written && !home.is_learnt("goodbye.toml"));
    // The second sound is among what the first is told from.
    home.told(&["learn", "Hello melody", &sound("bell"), "--add"]);
    let before = std::fs::read_to_string(&file).unwrap();
    assert_eq!(before.matches("[[example]]").count(), 2);
    let told = home.told(&["learn", "Done", &sound("complete")]);
    assert!(told.contains("told from: F/sounds/hello_melody.toml\nF/sounds/done.toml is written"), "{told}");
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn a_table_says_where_the_sound_is() {
    let home = Home::new("");
    let table = home.put("truth.tsv", "filename\tonset\toffset\tevent_label\nservice-login.oga\t0.0\t0.6\tHello melody\n");
    let told = home.told(&["learn", "Hello melody", &sound("service-login"), &sound("bell"), "--truth", &table]);
    assert!(told.contains("S/bell.oga: left out, because the table names the sound nowhere in it"), "{told}");
    let wrong = home.put("wrong.tsv", "filename\tonset\toffset\tevent_label\nservice-login.oga\t1.0\t0.6\tHello melody\n");
    let refused = home.refused(2, &["learn", "Other", &sound("bell"), "--truth", &wrong]);
    assert!(refused.starts_with("mimid: F/wrong.tsv:2: "), "{refused}");
}

#[test]
fn whatever_cannot_be_learnt_is_told_in_a_sentence() {
    let home = Home::new("");
    let melody = sound("service-login");
    let silence = home.put("silence.wav", wav(&[0; 48_000], 48_000, 1));
    let text = home.put("text.wav", "no recording\n");
    let copy = home.put("copy.oga", std::fs::read(&melody).unwrap());
    let folder = home.0.path().to_str().unwrap().to_owned();
    let mut told = vec![
        home.refused(1, &["learn", "Nothing", &silence]),
        home.refused(1, &["learn", "Text", &text]),
        home.refused(1, &["learn", "Folder", &folder]),
        home.refused(1, &["learn", "Gone", "/nowhere/a.wav"]),
        home.refused(2, &["learn", "Dog", &melody]),
        home.refused(2, &["learn", " Kettle", &melody]),
        home.refused(2, &["learn", "☺", &melody]),
        home.refused(2, &["learn", "Kettle"]),
        home.refused(2, &["learn", "Kettle", &melody, "--add"]),
        home.refused(2, &["learn", "Kettle", &melody, "--is-a", "Alram"]),
        home.refused(2, &["learn", "Kettle", &melody, "--not", &melody]),
        home.refused(2, &["learn", "Kettle", &melody, "--not", &copy]),
        home.refused(1, &["learn", "Kettle", &melody, "--not", &silence]),
        home.refused(2, &["learn", "Kettle", "--forget"]),
    ];
    assert!(!home.path("sounds").exists());
    home.told(&["learn", "Kettle", &melody]);
    told.push(home.refused(2, &["learn", "Kettle", &melody]));
    told.push(home.refused(2, &["learn", "kettle", &melody]));
    told.push(home.refused(2, &["learn", "Pot", &copy]));
    insta::assert_snapshot!(told.join("\n"), @r#"
    mimid: "Nothing" cannot be learnt:
      F/silence.wav: left out, because nothing sounds in it
    Record the sound louder or nearer; mimid finds the sounding part itself
    mimid: F/text.wav: this is no recording in a format that is known (WAV, FLAC, MP3, AAC, M4A, Ogg, Opus, WebM, AIFF, CAF)
    mimid: F: this is a folder, not a recording; scan --recursive takes those in it
    mimid: /nowhere/a.wav: there is no such file
    mimid: the label "Dog" exists already; give the sound a name of its own
    mimid: " Kettle" cannot be a sound's name: it must not begin or end with a space, nor hold control characters
    mimid: "☺" cannot be a sound's name: it needs a letter from A to Z or a digit
    mimid: name recordings of the sound: `mimid learn "Kettle" RECORDING…`
    mimid: no sound "Kettle" is learnt yet, to which recordings could be added; leave --add out
    mimid: --is-a: there is no label "Alram"; did you mean "Alarm"?
    mimid: S/service-login.oga is named as the sound and with --not; it cannot be both
    mimid: F/copy.oga is named with --not, and sounds just as S/service-login.oga does; it cannot be both
    mimid: nothing sounds in F/silence.wav, which is named with --not; leave it out
    mimid: no sound "Kettle" is learnt, in F/sounds
    mimid: the sound "Kettle" is learnt already; add recordings to it with --add, or learn it anew with --replace
    mimid: the label "kettle" exists already; give the sound a name of its own
    mimid: F/copy.oga sounds just as a recording of the learnt sound "Kettle" does; it cannot be both
    "#);
    // One file several times is one recording, in whatever format.
    let told = home.told(&["learn", "Kettle", &melody, &copy, &melody, "--replace"]);
    assert!(told.starts_with("Kettle: learnt from 1 recording\n"), "{told}");
    assert_eq!(told.matches("left out, because it is the same sound as S/service-login.oga").count(), 2, "{told}");
}

#[test]
fn a_file_that_cannot_be_used_is_told_and_the_others_are() {
    let home = Home::new("");
    home.told(&["learn", "Hello melody", &sound("service-login")]);
    let whole = std::fs::read_to_string(home.path("sounds/hello_melody.toml")).unwrap();
    home.put("sounds/torn.toml", &whole[..whole.len() / 2]);
    let foreign = whole.replace("name = \"Hello melody\"", "name = \"Whistle\"");
    let key = foreign.lines().find(|line| line.starts_with("model_sha256")).unwrap().to_owned();
    home.put("sounds/foreign.toml", foreign.replace(&key, "model_sha256 = \"0123456789abcdef\""));
    let output = home.run(&["check"]);
    assert!(output.status.success());
    let warned = home.shown(&output.stderr);
    assert!(warned.contains("F/sounds/foreign.toml is not used: it was learnt with the model 01234567"), "{warned}");
    assert!(warned.contains("F/sounds/torn.toml is torn, or no file of a learnt sound"), "{warned}");
    assert!(home.heard(&sound("service-login")).contains(&"Hello melody".to_owned()));
    // So many files are no learnt sounds.
    std::fs::create_dir(home.path("many")).unwrap();
    for at in 0..2_001 {
        std::fs::write(Path::new(&home.path("many")).join(format!("{at}.toml")), "").unwrap();
    }
    home.put("c.toml", "[model]\nsounds = \"many\"\n");
    let warned = home.shown(&home.run(&["check"]).stderr);
    assert!(
        warned.contains("the folder F/many holds more than 2000 files ending in .toml; none of its sounds is used"),
        "{warned}"
    );
}
