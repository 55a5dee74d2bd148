//! The pictures of iTerm2: a file in the text (<https://iterm2.com/documentation-images.html>).

use super::Picture;
use crate::term::base64::base64;

/// The picture at the cursor, of the size of its area. `None` if it cannot be encoded.
pub fn shown(picture: &Picture) -> Option<Vec<u8>> {
    let file = picture.raster.png()?;
    let (columns, rows) = (picture.area.width, picture.area.height);
    let keys = format!("inline=1;size={};width={columns};height={rows};preserveAspectRatio=0", file.len());
    Some(format!("\x1b]1337;File={keys};doNotMoveCursor=1:{}\x07", base64(&file)).into_bytes())
}
