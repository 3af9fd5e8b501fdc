//! Operation numbers (Apache's `ZooDefs.OpCode`).

macro_rules! ops {
    ($($(#[$meta:meta])* $name:ident = $code:literal,)*) => {
        /// What a request asks for, and what a transaction did.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum OpCode { $($(#[$meta])* $name = $code,)* }

        impl OpCode {
            /// The operation of a number, if there is one.
            pub fn from_code(code: i32) -> Option<OpCode> {
                match code { $($code => Some(OpCode::$name),)* _ => None }
            }
        }
    };
}

ops! {
    Notification = 0,
    Create = 1,
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    GetAcl = 6,
    SetAcl = 7,
    GetChildren = 8,
    Sync = 9,
    Ping = 11,
    GetChildren2 = 12,
    /// Inside multi only.
    Check = 13,
    Multi = 14,
    Create2 = 15,
    Reconfig = 16,
    CheckWatches = 17,
    RemoveWatches = 18,
    CreateContainer = 19,
    /// The server's own: refused from clients.
    DeleteContainer = 20,
    CreateTtl = 21,
    MultiRead = 22,
    Auth = 100,
    SetWatches = 101,
    Sasl = 102,
    GetEphemerals = 103,
    GetAllChildrenNumber = 104,
    SetWatches2 = 105,
    AddWatch = 106,
    WhoAmI = 107,
    /// The server's own: the handshake becomes this request.
    CreateSession = -10,
    CloseSession = -11,
    /// A transaction that failed.
    Error = -1,
}

impl OpCode {
    /// The number on the wire and on disk.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Whether the operation becomes a transaction, logged and agreed on.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            OpCode::Create
                | OpCode::Create2
                | OpCode::CreateTtl
                | OpCode::CreateContainer
                | OpCode::Delete
                | OpCode::DeleteContainer
                | OpCode::SetData
                | OpCode::SetAcl
                | OpCode::Reconfig
                | OpCode::Multi
                | OpCode::CreateSession
                | OpCode::CloseSession
        )
    }
}
