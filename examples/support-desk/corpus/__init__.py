"""Where this desk's training rows and golden cases come from: one generator per skill, two splits."""
