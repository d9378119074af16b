"""A video from a sentence, without a server: python examples/ten_lines.py"""

from itertools import islice

from scope import offline

player = offline.load("longlive", progress=print, width=320, height=192)
print(player.notice)
frames = player.play(prompts="a lighthouse in a storm, waves breaking over it")
print(offline.write("lighthouse.mp4", islice(frames, 10 * 16)), "frames in lighthouse.mp4")
