//! What a filesystem does with disks beside the one that is mounted.

/// How a filesystem is laid over several disks.
#[derive(Debug)]
pub struct Several {
    /// What scenarios call a disk beside the first.
    pub purpose: &'static str,
    /// Most disks beside the first.
    pub most: usize,
    /// The smallest that such a disk can be, in bytes.
    pub min_size: u64,
    /// The mount option that names such a disk.
    pub mount: &'static str,
    /// How mkfs learns of them.
    pub made: Made,
    /// The checker's option that names such a disk; `None` where the checker can only look at one disk.
    pub checker: Option<&'static str>,
    /// Words in a scenario's options of mkfs that leave such a disk without a use, or name one.
    pub contradicts: &'static [&'static str],
}

/// How a filesystem is made over several disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// This option's value names the other disk, after this prefix.
    Option(&'static str, &'static str),
    /// The others are named after the first.
    Named,
    /// ext's external journal. mke2fs wants a block device for one (`-J device=`), so the journal is made on its own
    /// (`-O journal_dev`), and each of the two is told of the other.
    ExtJournal,
}
