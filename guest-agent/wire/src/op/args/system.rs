//! Arguments of what concerns the guest as a whole.

use serde::{Deserialize, Serialize};

/// Sleep in the guest, an hour at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sleep {
    /// How long, in milliseconds.
    pub millis: u64,
}

/// Write 1 to 3 to `/proc/sys/vm/drop_caches`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCaches {
    /// 1: the page cache, 2: slab objects, 3: both.
    pub what: u8,
}

/// Write `value` to `/proc/sys/` + `name` with dots as slashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// The parameter, such as `vm.dirty_bytes`.
    pub name: String,
    /// Its new value.
    pub value: String,
}
