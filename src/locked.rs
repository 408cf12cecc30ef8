//! Memory for sound that must stay in memory: it is not swapped, no core dump has it, and it holds nothing but zeros when it is given
//! back.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mlock, mmap_anonymous, munmap};

/// Samples in pages of their own.
#[derive(Debug)]
pub struct Locked {
    address: NonNull<c_void>,
    len: usize,
    bytes: NonZeroUsize,
    is_locked: bool,
}

#[allow(unsafe_code, reason = "the pages belong to this value alone, as those of a vector do")]
// SAFETY: nothing else has the address, and access follows the borrows of the value.
unsafe impl Send for Locked {}

impl Locked {
    /// Zeros for so many samples, at least one.
    ///
    /// # Errors
    /// The system has no memory left. That it may not be locked is no error; [`Locked::is_locked`] tells it.
    #[allow(unsafe_code, reason = "pages of their own are only to be had from the system itself")]
    pub fn new(len: usize) -> io::Result<Self> {
        let len = len.max(1);
        let bytes = NonZeroUsize::new(len * size_of::<i16>()).unwrap_or(NonZeroUsize::MIN);
        // SAFETY: a new mapping without a file and without a wanted address touches no other.
        let address =
            unsafe { mmap_anonymous(None, bytes, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE) }?;
        #[cfg(target_os = "linux")]
        // SAFETY: the advice is about the mapping that was just made, and changes nothing in it. One that is refused leaves a dump to the
        // limit of core dumps.
        let _ = unsafe { nix::sys::mman::madvise(address, bytes.get(), nix::sys::mman::MmapAdvise::MADV_DONTDUMP) };
        // SAFETY: as above.
        let is_locked = unsafe { mlock(address, bytes.get()) }.is_ok();
        Ok(Self { address, len, bytes, is_locked })
    }

    /// Whether the system keeps it out of the swap.
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Its size in bytes.
    pub fn size_bytes(&self) -> usize {
        self.bytes.get()
    }
}

#[allow(unsafe_code, reason = "the mapping is seen as what it is made for")]
impl Deref for Locked {
    type Target = [i16];

    fn deref(&self) -> &[i16] {
        // SAFETY: the mapping has room for so many samples, begins at a page, lives as long as `self`, and any bits are samples.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr().cast(), self.len) }
    }
}

#[allow(unsafe_code, reason = "the mapping is seen as what it is made for")]
impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut [i16] {
        // SAFETY: as above, and `self` is borrowed by nobody else.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr().cast(), self.len) }
    }
}

impl Drop for Locked {
    #[allow(unsafe_code, reason = "pages go back to the system by their address")]
    fn drop(&mut self) {
        self.fill(0);
        // The zeros are written, though nobody reads them.
        std::hint::black_box(&mut **self);
        // SAFETY: the mapping is this value's own, and nothing uses it any more. The lock goes with it.
        let _ = unsafe { munmap(self.address, self.bytes.get()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of the mapping that holds an address, and what of it is locked, as the system tells them.
    #[cfg(target_os = "linux")]
    fn flags(of: &Locked) -> (String, String) {
        let address = of.address.as_ptr() as usize;
        let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_it = false;
        let mut locked = String::new();
        for line in text.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bounds = range.and_then(|(a, b)| Some(usize::from_str_radix(a, 16).ok()?..usize::from_str_radix(b, 16).ok()?));
            if let Some(bounds) = bounds {
                is_it = bounds.contains(&address);
            } else if is_it && line.starts_with("Locked:") {
                line.clone_into(&mut locked);
            } else if is_it && let Some(flags) = line.strip_prefix("VmFlags:") {
                return (flags.to_owned(), locked);
            }
        }
        panic!("the mapping is not there");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_is_in_no_dump_and_not_swapped() {
        let mut locked = Locked::new(70_000).unwrap();
        assert!(locked.iter().all(|sample| *sample == 0) && locked.len() == 70_000);
        locked[69_999] = 7;
        let (flags, size) = flags(&locked);
        assert!(flags.split(' ').any(|flag| flag == "dd"), "{flags}");
        // A test may run where nothing may be locked.
        assert_eq!(flags.split(' ').any(|flag| flag == "lo"), locked.is_locked(), "{flags} {size}");
    }
}
