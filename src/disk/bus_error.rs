//! What happens when a mapped file can't be read: a sector is bad, or somebody else has cut the
//! file. The system tells it by SIGBUS in the middle of an ordinary load, from which there is no
//! way back; here the process ends with the name of the file and the place in it.

use std::path::Path;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::Once;

use rustix::process::Signal;

/// Maps that are noted at one time. One that finds no room is not noted, and its end names no file.
const MAPS_MAX: usize = 64;

static MAPS: [Noted; MAPS_MAX] = [const { Noted::none() }; MAPS_MAX];

/// A map and the file behind it. Read in a signal handler, so nothing but atomics.
struct Noted {
    /// First address; 0 when the place is free.
    start: AtomicUsize,
    end: AtomicUsize,
    name: AtomicPtr<String>,
}

impl Noted {
    const fn none() -> Noted {
        Noted {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            name: AtomicPtr::new(std::ptr::null_mut()),
        }
    }
}

/// Keeps the name of a mapped file at hand for as long as the map is there.
#[derive(Debug)]
pub(super) struct MapNote(Option<usize>);

/// Takes down that the `bytes` are those of the file at `path`.
pub(super) fn note(path: &Path, bytes: &[u8]) -> MapNote {
    catch();
    let start = bytes.as_ptr() as usize;
    for (place, map) in MAPS.iter().enumerate() {
        // 1 is no map's address, and keeps the place from others until all of it is written.
        if map.start.compare_exchange(0, 1, SeqCst, SeqCst).is_ok() {
            let name = Box::new(path.display().to_string());
            map.name.store(Box::into_raw(name), SeqCst);
            map.end.store(start + bytes.len(), SeqCst);
            map.start.store(start, SeqCst);
            return MapNote(Some(place));
        }
    }
    MapNote(None)
}

impl Drop for MapNote {
    fn drop(&mut self) {
        let Some(map) = self.0.map(|place| &MAPS[place]) else { return };
        map.end.store(0, SeqCst);
        let name = map.name.swap(std::ptr::null_mut(), SeqCst);
        map.start.store(0, SeqCst);
        // SAFETY: it came from `Box::into_raw` in `note`, and the swap has taken it out of
        // everybody's reach. The handler reads the name only of the map in which its own thread
        // stands, which is not the one being dropped.
        drop(unsafe { Box::from_raw(name) });
    }
}

/// Installs the handler, once for the process.
fn catch() {
    static CAUGHT: Once = Once::new();
    CAUGHT.call_once(|| {
        let signal = Signal::BUS.as_raw();
        // SAFETY: the handler calls nothing that a signal handler must not: it reads atomics,
        // writes to standard error and aborts.
        let caught = unsafe {
            signal_hook_registry::register_unchecked(signal, |info| end_at(info.si_addr() as usize))
        };
        if let Err(e) = caught {
            tracing::warn!("A mapped file that can't be read will not be named: {e}");
        }
    });
}

/// The last words, and the end.
fn end_at(address: usize) {
    let found =
        MAPS.iter().find(|map| (map.start.load(SeqCst)..map.end.load(SeqCst)).contains(&address));
    say(b"oxkeeper: ");
    match found {
        Some(map) => {
            let name = map.name.load(SeqCst);
            // SAFETY: see `MapNote::drop`: a map in which a thread stands is not dropped.
            say(unsafe { (*name).as_bytes() });
            say(b" can't be read at offset ");
            let mut digits = [0; 20];
            say(decimal(address - map.start.load(SeqCst), &mut digits));
        }
        None => say(b"a mapped file can't be read"),
    }
    say(b": a bad sector, or the file was cut while it was read. ");
    say(b"Check the disk, then start again\n");
    std::process::abort();
}

fn say(bytes: &[u8]) {
    // Nobody is left to be told of a failure.
    let _: Result<usize, _> = rustix::io::write(rustix::stdio::stderr(), bytes);
}

/// A number's digits, without taking memory.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_digits() {
        let mut digits = [0; 20];
        assert_eq!(decimal(0, &mut digits), b"0");
        assert_eq!(decimal(67_108_880, &mut digits), b"67108880");
        assert_eq!(decimal(usize::MAX, &mut digits), usize::MAX.to_string().as_bytes());
    }

    #[test]
    fn a_place_is_free_again_when_the_map_is_gone() {
        let bytes = [0u8; 16];
        for _ in 0..2 * MAPS_MAX {
            let note = note(Path::new("/some/log.1"), &bytes);
            assert!(note.0.is_some());
        }
    }
}
