//! Client sockets: frames in, frames out.
