//! The pictures of the tray icon, drawn by `icons/make` and built in.

use crate::view::Icon;

/// A picture, four bytes a pixel: red, green, blue, alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rgba: Vec<u8>,
}

macro_rules! drawn {
    ($name:literal) => {
        [
            include_bytes!(concat!("../../../../../icons/out/tray/", $name, "-22.png")).as_slice(),
            include_bytes!(concat!("../../../../../icons/out/tray/", $name, "-44.png")).as_slice(),
        ]
    };
}

/// The pictures with a number on them, from 1 on; the last one stands for all higher ones.
#[cfg_attr(target_os = "macos", allow(dead_code, reason = "the number stands beside the icon there"))]
const BUSY: [[&[u8]; 2]; 10] = [
    drawn!("busy-1"),
    drawn!("busy-2"),
    drawn!("busy-3"),
    drawn!("busy-4"),
    drawn!("busy-5"),
    drawn!("busy-6"),
    drawn!("busy-7"),
    drawn!("busy-8"),
    drawn!("busy-9"),
    drawn!("busy-many"),
];

/// The picture in each size, the smallest first.
#[cfg_attr(target_os = "macos", allow(dead_code, reason = "there it is a shape"))]
pub(super) fn pictures(icon: Icon) -> Vec<Picture> {
    let files = match icon {
        Icon::Idle => drawn!("idle"),
        Icon::Stopped => drawn!("stopped"),
        Icon::Attention => drawn!("attention"),
        Icon::Busy(count) => BUSY[count.clamp(1, BUSY.len()) - 1],
    };
    files.iter().filter_map(|file| decoded(file)).collect()
}

/// macOS colours the shape by itself to go with its menu bar, and shows the number beside it.
#[cfg(target_os = "macos")]
pub(super) fn shape(icon: Icon) -> Option<Picture> {
    let file = match icon {
        Icon::Idle => drawn!("template-idle"),
        Icon::Busy(_) => drawn!("template-busy"),
        Icon::Stopped => drawn!("template-stopped"),
        Icon::Attention => drawn!("template-attention"),
    };
    decoded(file[1])
}

/// The files are ours; a test reads each of them, so that none is missing when somebody draws them anew.
fn decoded(file: &[u8]) -> Option<Picture> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().ok()?;
    let mut rgba = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut rgba).ok()?;
    rgba.truncate(info.buffer_size());
    (info.color_type == png::ColorType::Rgba).then_some(Picture {
        width: info.width,
        height: info.height,
        rgba,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_picture_for_each_state() {
        let states =
            [Icon::Idle, Icon::Stopped, Icon::Attention, Icon::Busy(0), Icon::Busy(9), Icon::Busy(1000)];
        for icon in states {
            let sizes: Vec<_> =
                pictures(icon).iter().map(|picture| (picture.width, picture.rgba.len())).collect();
            assert_eq!(sizes, [(22, 22 * 22 * 4), (44, 44 * 44 * 4)], "{icon:?}");
        }
    }

    #[test]
    fn no_two_states_look_alike() {
        let looks: Vec<_> =
            [Icon::Idle, Icon::Stopped, Icon::Attention, Icon::Busy(1), Icon::Busy(2)].map(pictures).to_vec();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[index + 1..].contains(look), "{index}");
        }
    }
}
