//! Sixel, by the library `icy_sixel`.

use icy_sixel::{EncodeOptions, SixelImage};

use super::Picture;

/// The picture at the cursor. `None` if it cannot be encoded.
pub fn shown(picture: &Picture) -> Option<Vec<u8>> {
    let raster = &picture.raster;
    // Few colours, so that each is kept as it is; without dithering, which would mix them.
    let options = EncodeOptions { diffusion: 0.0, ..EncodeOptions::default() };
    let image = SixelImage::try_from_rgba(raster.rgba(), raster.width, raster.height).ok()?;
    image.encode_with(&options).ok().map(String::into_bytes)
}
