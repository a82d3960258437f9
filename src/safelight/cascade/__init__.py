"""When a light model's picture is good enough, and when a heavy model paints it again."""
