"""The EasyMO platform: the first customer of :mod:`easymo`."""
