//! The terminal: takes it over, and restores it on every way out, a panic among them.

use std::io::{self, Write, stdout};
use std::os::fd::AsFd;
use std::sync::Once;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::layout::Rect;

use super::ansi16::Ansi16;

/// The terminal while it is taken over; dropping this gives it back.
pub struct Screen {
    /// The drawing side of the terminal.
    pub terminal: Terminal<CrosstermBackend<Ansi16<io::Stdout>>>,
}

impl Screen {
    /// Takes the terminal over.
    pub fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let tell = std::panic::take_hook();
            // The message of a panic would be lost on the alternate screen.
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                tell(panic);
            }));
        });
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(Ansi16::new(stdout()))).inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// Gives the terminal back for as long as `meanwhile` takes, and takes it over again.
    pub fn lend(&mut self, meanwhile: impl FnOnce()) -> io::Result<()> {
        give_back();
        meanwhile();
        enter()?;
        self.clear()
    }

    /// Whether the terminal has gone. The library that reads the keys does not notice it, and the system sends a signal only to a
    /// process whose controlling terminal it was.
    pub fn is_gone(&self) -> bool {
        let stdout = stdout();
        let mut terminal = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        poll(&mut terminal, PollTimeout::ZERO).is_ok() && terminal[0].revents().is_some_and(|events| events.intersects(gone))
    }

    /// Clears the screen, so that the next picture is drawn completely. `Terminal::clear` would ask the terminal for the cursor's
    /// position, and the thread that reads the keys would get the answer.
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

/// Restores the terminal; where the terminal itself has gone, an error has no reader.
fn give_back() {
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    let _ = stdout().flush();
    let _ = disable_raw_mode();
}
