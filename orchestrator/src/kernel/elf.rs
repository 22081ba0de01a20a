//! What coldcut reads from ELF files: the PVH entry of a vmlinux, the `.modinfo` of a module.

use object::elf::FileHeader64;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection};

type Header = FileHeader64<LittleEndian>;

/// Note type of a PVH entry point, in notes named "Xen".
/// Source: the kernel's `include/xen/interface/elfnote.h`.
const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;

/// True when `bytes` starts like an ELF file.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// The physical address at which a PVH loader enters this kernel, or why it has none.
///
/// # Errors
/// Why it has none.
pub fn pvh_entry(bytes: &[u8]) -> Result<u64, String> {
    let header = Header::parse(bytes).map_err(|e| format!("not a 64-bit little-endian ELF file: {e}"))?;
    let machine = header.e_machine.get(LittleEndian);
    if machine != object::elf::EM_X86_64 {
        return Err(format!("an ELF file for machine {machine}, expected 62 (x86-64)"));
    }
    let segments = header
        .program_headers(LittleEndian, bytes)
        .map_err(|e| format!("damaged ELF file: {e}"))?;
    for segment in segments {
        // A segment that lies outside the file means a truncated kernel, whatever its kind.
        segment
            .data(LittleEndian, bytes)
            .map_err(|()| "truncated ELF file: a segment ends past the file")?;
        let Some(mut notes) = segment
            .notes(LittleEndian, bytes)
            .map_err(|e| format!("damaged ELF notes: {e}"))?
        else {
            continue;
        };
        while let Some(note) = notes.next().map_err(|e| format!("damaged ELF notes: {e}"))? {
            if note.name() != b"Xen" || note.n_type(LittleEndian).0 != XEN_ELFNOTE_PHYS32_ENTRY {
                continue;
            }
            let entry = note.desc();
            if let Ok(word) = <[u8; 8]>::try_from(entry) {
                return Ok(u64::from_le_bytes(word));
            }
            return match <[u8; 4]>::try_from(entry) {
                Ok(word) => Ok(u64::from(u32::from_le_bytes(word))),
                Err(_) => Err(format!("its PVH note has {} bytes, expected 4 or 8", entry.len())),
            };
        }
    }
    Err("no PVH entry note (CONFIG_PVH is off)".to_owned())
}

/// What a module says of itself (`modinfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModInfo {
    /// Modules that must be loaded before it.
    pub depends: Vec<String>,
    /// Modules to load before it when there are any (`softdep=pre:`).
    pub soft_pre: Vec<String>,
    /// Modules to load after it when there are any (`softdep=post:`).
    pub soft_post: Vec<String>,
    /// Other names of it.
    pub aliases: Vec<String>,
    /// The release that it was built for: the first word of `vermagic`.
    pub release: Option<String>,
}

impl ModInfo {
    /// Reads the `.modinfo` section of a module.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn of_module(bytes: &[u8]) -> Result<Self, String> {
        let file = object::read::elf::ElfFile64::<LittleEndian>::parse(bytes).map_err(|e| e.to_string())?;
        let section = file.section_by_name(".modinfo").ok_or("no .modinfo section")?;
        let data = section.data().map_err(|e| e.to_string())?;
        let mut info = Self::default();
        for entry in data.split(|b| *b == 0) {
            if let Some((key, value)) = std::str::from_utf8(entry).ok().and_then(|e| e.split_once('=')) {
                info.take(key, value);
            }
        }
        Ok(info)
    }

    /// Adds one `key=value` of a `.modinfo` section or of `modules.builtin.modinfo`.
    pub fn take(&mut self, key: &str, value: &str) {
        match key {
            "depends" => self
                .depends
                .extend(value.split(',').filter(|n| !n.is_empty()).map(str::to_owned)),
            "alias" => self.aliases.push(value.to_owned()),
            "vermagic" => self.release = value.split(' ').next().map(str::to_owned),
            "softdep" => {
                let mut to = None;
                for word in value.split_whitespace() {
                    match word {
                        "pre:" => to = Some(&mut self.soft_pre),
                        "post:" => to = Some(&mut self.soft_post),
                        name => {
                            if let Some(list) = &mut to {
                                list.push(name.to_owned());
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(machine: u16, phnum: u16, shnum: u16, shstrndx: u16, shoff: u64) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend(2u16.to_le_bytes());
        out.extend(machine.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(0u64.to_le_bytes());
        out.extend(64u64.to_le_bytes());
        out.extend(shoff.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        for value in [64, 56, phnum, 64, shnum, shstrndx] {
            out.extend(value.to_le_bytes());
        }
        out
    }

    /// A small vmlinux: one `PT_LOAD` with `text`, and a PVH note when `entry` is given.
    pub(crate) fn vmlinux(text: &[u8], entry: Option<u64>) -> Vec<u8> {
        let mut note = Vec::new();
        if let Some(entry) = entry {
            for word in [4u32, 8, XEN_ELFNOTE_PHYS32_ENTRY] {
                note.extend(word.to_le_bytes());
            }
            note.extend(b"Xen\0");
            note.extend(entry.to_le_bytes());
        }
        let mut out = header(62, 2, 0, 0, 0);
        let data = 64 + 2 * 56;
        for (kind, offset, len) in [(1u32, data, text.len()), (4, data + text.len(), note.len())] {
            out.extend(kind.to_le_bytes());
            out.extend(5u32.to_le_bytes());
            for value in [offset, 0x100_0000, 0x100_0000, len, len, 4] {
                out.extend((value as u64).to_le_bytes());
            }
        }
        out.extend(text);
        out.extend(note);
        out
    }

    /// A small module with this `.modinfo`.
    pub(crate) fn module(entries: &[&str]) -> Vec<u8> {
        let mut info: Vec<u8> = entries.iter().flat_map(|e| e.bytes().chain([0])).collect();
        info.resize(info.len().next_multiple_of(8), 0);
        let names = b"\0.modinfo\0.shstrtab\0\0\0\0\0";
        let shoff = 64 + info.len() + names.len();
        let mut out = header(62, 0, 3, 2, shoff as u64);
        out.extend(&info);
        out.extend(names);
        out.extend([0; 64]);
        for (name, kind, offset, len) in [
            (1u32, 1u32, 64, info.len()),
            (10, 3, 64 + info.len(), names.len()),
        ] {
            out.extend(name.to_le_bytes());
            out.extend(kind.to_le_bytes());
            for value in [0, 0, offset, len] {
                out.extend((value as u64).to_le_bytes());
            }
            out.extend([0; 8]);
            out.extend(1u64.to_le_bytes());
            out.extend(0u64.to_le_bytes());
        }
        out
    }

    #[test]
    fn finds_the_pvh_entry() {
        assert_eq!(pvh_entry(&vmlinux(b"code", Some(0x10_0040))), Ok(0x10_0040));
        // What the kernel's build appends after the ELF file (relocations) does not matter.
        let mut with_tail = vmlinux(b"code", Some(1));
        with_tail.extend([9; 1000]);
        assert_eq!(pvh_entry(&with_tail), Ok(1));
    }

    #[test]
    fn says_why_there_is_none() {
        assert!(
            pvh_entry(&vmlinux(b"code", None))
                .unwrap_err()
                .contains("CONFIG_PVH")
        );
        assert!(pvh_entry(b"hello").unwrap_err().contains("not a 64-bit"));
        let whole = vmlinux(b"code", Some(1));
        assert!(
            pvh_entry(&whole[..whole.len() - 3])
                .unwrap_err()
                .contains("truncated")
        );
        let mut arm = whole;
        arm[18] = 183;
        assert!(pvh_entry(&arm).unwrap_err().contains("machine 183"));
    }

    #[test]
    fn reads_modinfo() {
        let bytes = module(&[
            "license=GPL",
            "depends=jbd2,mbcache",
            "softdep=pre: crc32c post: late other",
            "alias=fs-ext4",
            "vermagic=6.1.0-9-cloud-amd64 SMP preempt mod_unload modversions ",
            "junk",
        ]);
        insta::assert_debug_snapshot!(ModInfo::of_module(&bytes).unwrap(), @r#"
        ModInfo {
            depends: [
                "jbd2",
                "mbcache",
            ],
            soft_pre: [
                "crc32c",
            ],
            soft_post: [
                "late",
                "other",
            ],
            aliases: [
                "fs-ext4",
            ],
            release: Some(
                "6.1.0-9-cloud-amd64",
            ),
        }
        "#);
        assert!(ModInfo::of_module(b"no elf").is_err());
        assert!(
            ModInfo::of_module(&vmlinux(b"", None))
                .unwrap_err()
                .contains(".modinfo")
        );
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(at in 0usize..300, value: u8, cut in 0usize..300) {
            for mut bytes in [vmlinux(b"some code", Some(7)), module(&["depends=a,b", "alias=c"])] {
                if let Some(byte) = bytes.get_mut(at) { *byte = value; }
                bytes.truncate(bytes.len().saturating_sub(cut));
                let _ = pvh_entry(&bytes);
                let _ = ModInfo::of_module(&bytes);
            }
        }
    }
}
