//! The terminal: taken over and given back, on every way out, as it was.

use std::io::{self, Write, stdout};
use std::sync::Once;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::layout::Rect;

use super::ansi16::Sixteen;

/// The terminal while it is taken over; dropping this gives it back.
pub struct Screen {
    /// What draws.
    pub terminal: Terminal<CrosstermBackend<Sixteen<io::Stdout>>>,
}

impl Screen {
    /// Takes the terminal over.
    pub fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let tell = std::panic::take_hook();
            // What a panic has to say would be lost on the alternate screen.
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                tell(panic);
            }));
        });
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(Sixteen::new(stdout()))).inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// Gives the terminal back for as long as `meanwhile` takes, and takes it over again.
    pub fn lend(&mut self, meanwhile: impl FnOnce()) -> io::Result<()> {
        give_back();
        meanwhile();
        enter()?;
        self.clear()
    }

    /// Clears it, so that the next picture is drawn whole. The terminal's own way to do that would ask where the cursor is, and the
    /// answer would go to whoever reads the keys.
    pub fn clear(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Hide).inspect_err(|_| give_back())
}

/// Where the terminal itself has gone, there is nobody to tell.
fn give_back() {
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    let _ = stdout().flush();
    let _ = disable_raw_mode();
}
