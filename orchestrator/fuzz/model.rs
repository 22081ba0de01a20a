// A naive NBD server: reads what a client says from start to end and says what the answer must be. Written from the
// protocol's document and from nothing of the server's: fixed newstyle handshake, simple replies, sectors of 512 bytes,
// payloads and options of a bounded length.

/// What must come back, in order.
#[derive(Debug)]
pub enum Expected {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A refusal of this option, of this kind, with whatever text.
    Refusal { option: u32, kind: u32 },
}

/// All that follows from what a client said.
#[derive(Debug, Default)]
pub struct Said {
    /// The replies.
    pub replies: Vec<Expected>,
    /// Whether the server hangs up.
    pub closed: bool,
    /// The disk after it.
    pub disk: Vec<u8>,
    /// Requests after the handshake.
    pub requests: usize,
    /// Those among them that change the disk or flush it, and are within its bounds.
    pub changes: usize,
}

const IHAVEOPT: u64 = 0x4948_4156_454F_5054;
const MAX_OPTION: u32 = 64 << 10;
const MAX_PAYLOAD: u32 = 32 << 20;
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;
/// `HAS_FLAGS | SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES`.
const EXPORT_FLAGS: u16 = 0b110_1101;

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    /// The next bytes; `None` when they are not all there yet.
    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn number<const N: usize>(&mut self) -> Option<u64> {
        Some(
            self.take(N)?
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
        )
    }
}

/// What a server with a zeroed disk of `size` bytes does with what a client said.
pub fn said(input: &[u8], size: usize) -> Said {
    let mut said = Said {
        disk: vec![0; size],
        ..Said::default()
    };
    said.bytes(&[b"NBDMAGIC", b"IHAVEOPT", &[0, 3]]);
    let mut input = Input(input);
    if said.handshake(&mut input).is_some() {
        while !said.closed && said.request(&mut input).is_some() {}
    }
    said
}

impl Said {
    fn bytes(&mut self, parts: &[&[u8]]) {
        self.replies.push(Expected::Bytes(parts.concat()));
    }

    fn option_reply(&mut self, option: u32, kind: u32, data: &[u8]) {
        let magic = 0x0003_e889_0455_65a9_u64.to_be_bytes();
        let len = (data.len() as u32).to_be_bytes();
        self.bytes(&[&magic, &option.to_be_bytes(), &kind.to_be_bytes(), &len, data]);
    }

    fn hang_up<T>(&mut self) -> Option<T> {
        self.closed = true;
        None
    }

    /// `Some` once requests follow.
    fn handshake(&mut self, input: &mut Input<'_>) -> Option<()> {
        let flags = input.number::<4>()?;
        if flags > 3 {
            return self.hang_up();
        }
        loop {
            let mut ahead = Input(input.0);
            let (magic, option, len) = (ahead.number::<8>()?, ahead.number::<4>()?, ahead.number::<4>()?);
            if magic != IHAVEOPT || len > u64::from(MAX_OPTION) {
                return self.hang_up();
            }
            let data = ahead.take(len as usize)?.to_vec();
            *input = Input(ahead.0);
            let option = option as u32;
            if flags & 1 == 0 && option != 1 {
                return self.hang_up();
            }
            match option {
                1 if !data.is_empty() => return self.hang_up(),
                1 => {
                    let zeroes: &[u8] = if flags & 2 == 0 { &[0; 124] } else { &[] };
                    let size = self.disk.len() as u64;
                    self.bytes(&[&size.to_be_bytes(), &EXPORT_FLAGS.to_be_bytes(), zeroes]);
                    return Some(());
                }
                2 => {
                    self.option_reply(option, 1, &[]);
                    return self.hang_up();
                }
                3 if data.is_empty() => {
                    self.option_reply(option, 2, &[0; 4]);
                    self.option_reply(option, 1, &[]);
                }
                3 => self.refuse(option, 0x8000_0003),
                6 | 7 => {
                    if self.describe(option, &data) && option == 7 {
                        return Some(());
                    }
                }
                _ => self.refuse(option, 0x8000_0001),
            }
        }
    }

    fn refuse(&mut self, option: u32, kind: u32) {
        self.replies.push(Expected::Refusal { option, kind });
    }

    /// `NBD_OPT_INFO` and `NBD_OPT_GO`: whether the export is there.
    fn describe(&mut self, option: u32, data: &[u8]) -> bool {
        let mut data = Input(data);
        let name = data
            .number::<4>()
            .and_then(|len| Some(data.take(len as usize)?.len()));
        let kinds = data.number::<2>();
        match (name, kinds) {
            (Some(name), Some(kinds)) if data.0.len() as u64 == kinds * 2 => {
                if name > 0 {
                    self.refuse(option, 0x8000_0006);
                    return false;
                }
            }
            _ => {
                self.refuse(option, 0x8000_0003);
                return false;
            }
        }
        let size = (self.disk.len() as u64).to_be_bytes();
        self.option_reply(
            option,
            3,
            &[&[0, 0][..], &size, &EXPORT_FLAGS.to_be_bytes()].concat(),
        );
        let sizes = [512_u32, 4096, MAX_PAYLOAD].map(u32::to_be_bytes).concat();
        self.option_reply(option, 3, &[&[0, 3], sizes.as_slice()].concat());
        self.option_reply(option, 1, &[]);
        true
    }

    /// `None` when the client said no whole request.
    fn request(&mut self, input: &mut Input<'_>) -> Option<()> {
        let mut ahead = Input(input.0);
        let head = Input(ahead.take(28)?).0.to_vec();
        let mut head = Input(&head);
        let magic = head.number::<4>()?;
        let (flags, kind) = (head.number::<2>()?, head.number::<2>()?);
        let cookie = head.number::<8>()?;
        let (offset, len) = (head.number::<8>()?, head.number::<4>()?);
        if magic != 0x2560_9513 || kind == 1 && len > u64::from(MAX_PAYLOAD) {
            return self.hang_up();
        }
        let payload = ahead.take(if kind == 1 { len as usize } else { 0 })?.to_vec();
        *input = Input(ahead.0);
        if kind == 2 {
            return self.hang_up();
        }
        self.requests += 1;
        let outcome = self.carry_out(kind, flags, offset, len, &payload);
        let error = outcome.as_ref().err().copied().unwrap_or(0);
        let data = outcome.unwrap_or_default();
        let magic = 0x6744_6698_u32.to_be_bytes();
        self.bytes(&[&magic, &error.to_be_bytes(), &cookie.to_be_bytes(), &data]);
        Some(())
    }

    /// The data that was read, or the error.
    fn carry_out(
        &mut self,
        kind: u64,
        flags: u64,
        offset: u64,
        len: u64,
        payload: &[u8],
    ) -> Result<Vec<u8>, u32> {
        // FUA (1) everywhere, NO_HOLE (2) when zeroing.
        let known = match kind {
            0 | 1 | 3 | 4 => 1,
            6 => 3,
            _ => return Err(EINVAL),
        };
        if flags > known {
            return Err(EINVAL);
        }
        if kind == 3 {
            if offset != 0 || len != 0 {
                return Err(EINVAL);
            }
            self.changes += 1;
            return Ok(Vec::new());
        }
        if len == 0 || !offset.is_multiple_of(512) || !len.is_multiple_of(512) {
            return Err(EINVAL);
        }
        let size = self.disk.len() as u64;
        if offset > size || len > size - offset {
            return Err(if kind == 0 { EINVAL } else { ENOSPC });
        }
        let range = &mut self.disk[offset as usize..(offset + len) as usize];
        match kind {
            0 => return Ok(range.to_vec()),
            1 => range.copy_from_slice(payload),
            _ => range.fill(0),
        }
        self.changes += 1;
        Ok(Vec::new())
    }

    /// Compares with what the server said.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compare(&self, replies: &[u8]) -> Result<(), String> {
        let mut rest = Input(replies);
        for (number, expected) in self.replies.iter().enumerate() {
            match expected {
                Expected::Bytes(bytes) => {
                    let found = rest.take(bytes.len());
                    if found != Some(bytes) {
                        let found = found.map(|bytes| &bytes[..bytes.len().min(40)]);
                        let bytes = &bytes[..bytes.len().min(40)];
                        return Err(format!("reply {number} is {found:02x?} instead of {bytes:02x?}"));
                    }
                }
                Expected::Refusal { option, kind } => {
                    let head = (rest.number::<8>(), rest.number::<4>(), rest.number::<4>());
                    let wanted = (
                        Some(0x0003_e889_0455_65a9),
                        Some(u64::from(*option)),
                        Some(u64::from(*kind)),
                    );
                    if head != wanted {
                        return Err(format!("reply {number} is {head:x?} instead of {wanted:x?}"));
                    }
                    let len = rest.number::<4>().filter(|len| *len <= 4096);
                    if len.and_then(|len| rest.take(len as usize)).is_none() {
                        return Err(format!("the text of reply {number} has {len:?} bytes"));
                    }
                }
            }
        }
        if rest.0.is_empty() {
            Ok(())
        } else {
            Err(format!("{} bytes too many", rest.0.len()))
        }
    }
}
