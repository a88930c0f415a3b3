"""Files of measurements that become tracks, one module for each format; reached by name through the registry."""
