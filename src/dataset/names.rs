//! The names that data sets have for labels of AudioSet, where neither the name nor its identifier is the label's own.

use super::Layout;

/// ESC-50's categories.
const ESC50: &[(&str, &[&str])] = &[
    ("airplane", &["Fixed-wing aircraft, airplane"]),
    ("brushing_teeth", &["Toothbrush"]),
    ("car_horn", &["Vehicle horn, car horn, honking"]),
    ("chirping_birds", &["Bird vocalization, bird call, bird song"]),
    ("church_bells", &["Church bell"]),
    ("clock_alarm", &["Alarm clock"]),
    ("clock_tick", &["Tick-tock"]),
    ("coughing", &["Cough"]),
    ("cow", &["Cattle, bovinae"]),
    ("crackling_fire", &["Crackle"]),
    ("crickets", &["Cricket"]),
    ("crying_baby", &["Baby cry, infant cry"]),
    ("door_wood_creaks", &["Creak"]),
    ("door_wood_knock", &["Knock"]),
    ("footsteps", &["Walk, footsteps"]),
    ("glass_breaking", &["Shatter"]),
    ("hand_saw", &["Sawing"]),
    ("hen", &["Cluck"]),
    ("insects", &["Insect"]),
    ("keyboard_typing", &["Computer keyboard"]),
    ("laughing", &["Laughter"]),
    ("pouring_water", &["Pour"]),
    ("rooster", &["Crowing, cock-a-doodle-doo"]),
    ("sea_waves", &["Waves, surf"]),
    ("sneezing", &["Sneeze"]),
    ("water_drops", &["Drip"]),
];

/// UrbanSound8K's classes.
const URBANSOUND8K: &[(&str, &[&str])] = &[
    ("air_conditioner", &["Air conditioning"]),
    ("car_horn", &["Vehicle horn, car horn, honking"]),
    ("dog_bark", &["Bark"]),
    ("drilling", &["Drill"]),
    ("engine_idling", &["Idling"]),
    ("gun_shot", &["Gunshot, gunfire"]),
    ("street_music", &["Music"]),
];

/// DESED's classes.
const DESED: &[(&str, &[&str])] = &[
    ("Alarm_bell_ringing", &["Alarm"]),
    ("Dishes", &["Dishes, pots, and pans"]),
    ("Electric_shaver_toothbrush", &["Electric shaver, electric razor", "Electric toothbrush"]),
    ("Frying", &["Frying (food)"]),
    ("Running_water", &["Water tap, faucet"]),
];

/// The AudioSet labels that a label of a data set means; none where its name is AudioSet's own, or where AudioSet has no counterpart.
pub fn audioset_name(layout: Layout, label: &str) -> &'static [&'static str] {
    let table = match layout {
        Layout::Esc50 => ESC50,
        Layout::Urbansound8k => URBANSOUND8K,
        Layout::Desed => DESED,
        Layout::Fsd50k | Layout::Audacity => &[],
    };
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(label)).map_or(&[], |(_, labels)| labels)
}
