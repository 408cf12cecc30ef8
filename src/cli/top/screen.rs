//! The terminal: taken over and given back, on every way out, as it was.

use std::io::{self, Write, stdout};
use std::sync::Once;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

/// The terminal while it is taken over; dropping this gives it back.
pub struct Screen {
    /// What draws.
    pub terminal: Terminal<CrosstermBackend<io::BufWriter<io::Stdout>>>,
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
        // A frame is one write: over a slow line nobody sees half of it.
        let backend = CrosstermBackend::new(io::BufWriter::with_capacity(32 * 1024, stdout()));
        let terminal = Terminal::new(backend).inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// Gives the terminal back for as long as `meanwhile` takes, and takes it over again.
    pub fn lend(&mut self, meanwhile: impl FnOnce()) -> io::Result<()> {
        give_back();
        meanwhile();
        enter()?;
        self.terminal.clear()
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
