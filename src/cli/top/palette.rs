//! The colours: few, each with one meaning. Without colour, bold, dim and signs say the same.

use ratatui::style::{Color, Modifier, Style};

/// The meaning of a text or a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Of less interest: units, axes, labels that cannot fire.
    Quiet,
    /// The confirmed score.
    Confirmed,
    /// A threshold.
    Threshold,
    /// Ordinary text.
    Plain,
    /// A heading, or the chosen row.
    Strong,
    /// Nearly an event, or an event that is not confirmed yet.
    Near,
    /// An event.
    Firing,
    /// A fault.
    Bad,
}

/// The colours that the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// No colour at all.
    Plain,
    /// The 16 ANSI colours, as the user's theme defines them.
    Ansi,
    /// 256 colours.
    Indexed,
}

/// The level meter from quiet to loud, in the colour cube of 256 colours.
const GRADIENT: [u8; 8] = [23, 29, 35, 41, 77, 149, 185, 215];

impl Palette {
    /// The palette of a terminal, by the variables `NO_COLOR`, `COLORTERM` and `TERM`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let holds =
            |name: &str, words: &[&str]| variable(name).is_some_and(|value| words.iter().any(|word| value.contains(word)));
        if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            Palette::Plain
        } else if holds("COLORTERM", &["truecolor", "24bit"]) || holds("TERM", &["256color", "direct"]) {
            Palette::Indexed
        } else {
            Palette::Ansi
        }
    }

    /// The style of a text with this meaning.
    pub fn style(self, role: Role) -> Style {
        let (plain, coloured) = (Style::new(), self != Palette::Plain);
        let colour = |colour: Color| if coloured { plain.fg(colour) } else { plain };
        match role {
            // A dark grey would be invisible in some themes, so quiet text is dim.
            Role::Quiet => plain.add_modifier(Modifier::DIM),
            Role::Threshold => colour(Color::Magenta),
            Role::Confirmed => colour(Color::Cyan),
            Role::Plain => plain,
            Role::Strong => plain.add_modifier(Modifier::BOLD),
            Role::Near => colour(Color::Yellow),
            Role::Firing => colour(Color::Green).add_modifier(Modifier::BOLD),
            Role::Bad if coloured => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
            Role::Bad => plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// The colour of the level meter at `part` of its length, 0…1.
    pub fn meter(self, part: f32) -> Style {
        match self {
            Palette::Plain => Style::new(),
            Palette::Ansi => Style::new().fg(if part < 0.9 { Color::Green } else { Color::Yellow }),
            Palette::Indexed => {
                let step = (part.clamp(0.0, 1.0) * GRADIENT.len() as f32) as usize;
                Style::new().fg(Color::Indexed(GRADIENT[step.min(GRADIENT.len() - 1)]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palette(variables: &[(&str, &str)]) -> Palette {
        Palette::from_variables(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_terminal_says_what_it_can_show() {
        assert_eq!(palette(&[("TERM", "xterm")]), Palette::Ansi);
        assert_eq!(palette(&[("TERM", "tmux-256color")]), Palette::Indexed);
        assert_eq!(palette(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]), Palette::Indexed);
        assert_eq!(palette(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Palette::Plain);
        assert_eq!(palette(&[("TERM", "xterm"), ("NO_COLOR", "")]), Palette::Ansi, "an empty NO_COLOR asks for nothing");
    }

    #[test]
    fn without_colour_there_is_none() {
        let roles =
            [Role::Quiet, Role::Threshold, Role::Confirmed, Role::Plain, Role::Strong, Role::Near, Role::Firing, Role::Bad];
        assert!(roles.iter().all(|role| Palette::Plain.style(*role).fg.is_none()));
        assert!((0..=10).all(|part| Palette::Plain.meter(part as f32 / 10.0).fg.is_none()));
    }
}
