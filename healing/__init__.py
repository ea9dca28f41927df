"""Healing: writes land correctly when payload and schema disagree; people decide what may be done."""
