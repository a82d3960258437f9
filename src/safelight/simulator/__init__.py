"""Virtual time over the policies of `control`: nothing here is measured on a device."""
