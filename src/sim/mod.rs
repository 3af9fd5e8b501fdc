//! The deterministic simulator; here its disk, which forgets and tears what was not synced.
