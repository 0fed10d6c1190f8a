"""What the page says, in English and in Chinese."""

from ..errors import CourseError

LANGUAGES = ("English", "中文")

TEXTS = {
    # the page
    "title": ("Video studio", "视频工作室"),
    "intro": (
        "Small models, trained from scratch on two CPU cores, make short clips here: digits, shapes and drawn faces. "
        "Everything runs on the machine that serves this page, and nothing leaves it.",
        "这里的小模型从零开始、只用两个 CPU 核训练而成，能生成短视频：数字、图形和画出来的脸。"
        "一切都在提供本页的机器上运行，任何内容都不会外传。",
    ),
    "why_labels": (
        "Everything made here is labelled: a visible mark in a corner you choose, metadata in the file, a watermark in the "
        "pixels, and content credentials (C2PA), signed by a test certificate of this machine. The EU's AI Act (Article 50) and "
        "China's labelling measures ask for marks that people and machines can find. "
        "`python -m vidgen_tf inspect FILE` reads them back.",
        "这里生成的一切都带有标识：角落里的显式标识（位置可选）、文件元数据中的隐式标识、像素中的数字水印，以及用本机测试证书签名的内容凭证（C2PA）。欧盟《人工智能法》第五十条"
        "和中国的标识办法都要求人和机器能够识别生成内容。用 `python -m vidgen_tf inspect FILE` 可以读出这些标识。",
    ),
    "limits_of_blind_test": (
        "Two models make a clip of the same prompt, and you don't know which is whose. Say which shows better what it says. "
        "Answers are kept beside the history, without anything about you.",
        "两个模型根据同一句提示词各生成一段视频，你不知道哪段出自哪个模型。请选出更符合提示词的一段。回答与历史记录保存在一起，不含任何个人信息。",
    ),
    "shared_history": (
        "The history is kept on disk, and everybody who uses this page sees all of it.",
        "历史记录保存在磁盘上，使用本页的每个人都能看到全部记录。",
    ),
    "language": ("Language", "语言"),
    "corner": ("Corner of the visible mark", "显式标识的位置"),
    "bottom right": ("bottom right", "右下角"),
    "bottom left": ("bottom left", "左下角"),
    "top right": ("top right", "右上角"),
    "top left": ("top left", "左上角"),
    # tabs
    "prompt_to_video": ("Prompt to video", "文字生成视频"),
    "prompt_to_picture": ("Prompt to picture", "文字生成图片"),
    "image_to_video": ("Image to video", "图像生成视频"),
    "sketch_to_video": ("Sketch to video", "草图生成视频"),
    "transfer_motion": ("Motion transfer", "动作迁移"),
    "stylize": ("Style", "风格迁移"),
    "predict_next": ("Prediction", "预测后续"),
    "edit_prompt": ("Edit one word", "改一个词"),
    "compare_models": ("Compare", "比较模型"),
    "blind_test": ("Blind test", "盲测"),
    "gallery": ("Gallery", "示例库"),
    "history": ("History", "历史记录"),
    # inputs
    "prompt": ("Prompt, in English or Chinese", "提示词（中文或英文）"),
    "digits_prompt": ("Prompt, of a digit", "关于数字的提示词"),
    "examples": ("Examples", "示例"),
    "seed": ("Seed: the same number gives the same clip", "随机种子：相同的数字得到相同的视频"),
    "guidance": ("Guidance scale: 1 as learned, above it exaggerates", "引导强度：1 为所学的样子，越大越夸张"),
    "own_guidance": ("Guidance of the model's record, as it was evaluated", "使用模型记录中评测时的引导强度"),
    "frame": ("Frame, 1 to 16", "第几帧（1 到 16）"),
    "picture": ("Your picture of a drawn face (else one of the people)", "你画的脸的图片（否则用所选编号的人物）"),
    "canvas": ("Draw a face here, as large as the square", "在这里画一张脸，画满整个方框"),
    "sketch": ("Or a picture of your drawing", "或上传你画的线稿图片"),
    "sketch_prompt": (
        "Hair, beard, glasses and expression, in English or Chinese; empty leaves them open",
        "头发、胡子、眼镜和表情（中文或英文）；留空则不指定",
    ),
    "clip": ("Your clip, 2 seconds or more (else a person of 1 to 12)", "你的视频，至少 2 秒（否则用人物 1 到 12）"),
    "style": ("Style", "风格"),
    "style_picture": ("Or a picture whose style is taken", "或上传一张图片，取其风格"),
    "hatching": ("hatching", "排线"),
    "pointillism": ("pointillism", "点彩"),
    "woodcut": ("woodcut", "木刻"),
    "ink-wash": ("ink wash", "水墨"),
    "neon": ("neon", "霓虹"),
    "mosaic": ("mosaic", "马赛克"),
    "watercolour": ("watercolour", "水彩"),
    "blueprint": ("blueprint", "蓝图"),
    "driving": (
        "Your driving clip, 2 seconds or more (else one of the drivers)",
        "你的驱动视频，至少 2 秒（否则用所选编号的人物）",
    ),
    "person": ("Person, 1 to 12", "人物（1 到 12）"),
    "driver": ("Driver: whose motion, 1 to 12", "驱动者：用谁的动作（1 到 12）"),
    "people": ("The people, who are in no training", "人物（都不在训练数据中）"),
    "expression": ("Expression", "表情"),
    "neutral": ("neutral", "平静"),
    "smile": ("smile", "微笑"),
    "surprise": ("surprise", "惊讶"),
    "blink": ("blink", "眨眼"),
    "talk": ("talk", "说话"),
    "model": ("Model", "模型"),
    "simvp-digits": ("SimVP: two bouncing digits, 10 frames from 10", "SimVP：两个弹跳的数字，10 帧预测 10 帧"),
    "svg-digits": ("SVG: one of many futures of a digit, 19 frames from 5", "SVG：一个数字的多种未来之一，5 帧预测 19 帧"),
    "simvp-spheres": ("SimVP: a thrown ball, 10 frames from 4", "SimVP：抛出的球，4 帧预测 10 帧"),
    "scene": ("Scene, 1 to 1000, none of them in training", "场景（1 到 1000，都不在训练数据中）"),
    "old_word": ("Word to replace", "要替换的词"),
    "new_word": ("New word", "新词"),
    "entry": ("Earlier results, the latest first", "以前的结果，最新的在前"),
    "drawn_faces_only": (
        "This model knows drawn faces, looking straight ahead. It makes little sense of photographs, and don't try it with "
        "people who haven't agreed.",
        "这个模型只认识正面的手绘脸。它处理不了照片；也不要用未经同意的人的图像。",
    ),
    "limits_of_image_to_video": (
        "Measured on 250 people that no model learned from: in 98 of 100 clips a classifier sees the expression that was asked "
        "for, on the person of the picture.",
        "在 250 个未参与训练的人物上测得：每 100 段视频中有 98 段，分类器看到的是所要求的表情，而且人物没有变。",
    ),
    "limits_of_sketch_to_video": (
        "A face, looking straight ahead: hair, eyes, nose, mouth. The lines are thinned first, and the colours are sampled: "
        "another seed gives others. Rough drawings may lose an eye.",
        "正面的脸：头发、眼睛、鼻子、嘴。线条会先变细，颜色是采样得到的：换一个随机种子就会不同。太潦草的画可能会丢掉一只眼睛。",
    ),
    "limits_of_stylize": (
        "The first two seconds of a clip, 128x128 px. For whole clips with their sound: `python -m vidgen_tf stylize`. "
        "Eight styles were learned; of a picture of yours, colours and coarse strokes are taken.",
        "视频的前两秒，128x128 像素。要处理带声音的完整视频，请用 `python -m vidgen_tf stylize`。模型学过八种风格；"
        "对你上传的图片，只能取其颜色和粗的笔触。",
    ),
    "limits_of_transfer_motion": (
        "Measured on 36 people: nearly all stay themselves and can look surprised; a smile is too faint for a classifier.",
        "在 36 个人物上测得：几乎所有人都保持原样，也能做出惊讶的表情；但微笑太弱，分类器看不出来。",
    ),
    "orange": (
        "An orange edge stands around every predicted frame; the frames before were given.",
        "预测的帧带有橙色边框；之前的帧是给定的。",
    ),
    # outputs
    "a_is_better": ("A is better", "A 更好"),
    "b_is_better": ("B is better", "B 更好"),
    "make": ("Make it", "生成"),
    "cancel": ("Stop", "停止"),
    "refresh": ("Look again", "刷新"),
    "show": ("Show", "显示"),
    "result": ("Result", "结果"),
    "status": ("Status", "状态"),
    "files": ("Files to download", "下载文件"),
    "waiting": ("Waiting for the model; the first time it is read from disk.", "正在等待模型；第一次需要从磁盘读取。"),
    "step": ("Step {done} of {total}", "第 {done} 步，共 {total} 步"),
    "saving": ("Labelling and saving.", "正在添加标识并保存。"),
    "done": ("Done in {seconds:.1f} s, saved as {names}.", "用时 {seconds:.1f} 秒，已保存为 {names}。"),
    "stopped": ("Stopped.", "已停止。"),
    "usage": ("{count} results, {megabytes:.0f} MB in {folder}", "{count} 个结果，{megabytes:.0f} MB，位于 {folder}"),
    "no_pair": ("There is no pair to compare yet: make one first.", "还没有可比较的一对：请先生成。"),
    "voted": (
        "Thank you. A was by {a}, B by {b}. So far {one} was preferred in {wins} of {count} answers: with a confidence of 95 %, "
        "{low:.0f} to {high:.0f} % of such people would prefer it.",
        "谢谢。A 来自 {a}，B 来自 {b}。到目前为止，{count} 次回答中有 {wins} 次更喜欢 {one}："
        "95 % 置信区间为 {low:.0f} % 到 {high:.0f} %。",
    ),
    "nothing_yet": ("Nothing has been made yet.", "还没有任何结果。"),
    "refused": ("{sentence}", "不行：{sentence}"),
    "broken": (
        "Something went wrong in the studio itself: {kind}. The page goes on working; the server's log says more.",
        "工作室内部出错：{kind}。页面可以继续使用，详情见服务器日志。",
    ),
    # refusals
    "empty_prompt": ("Write what to show, such as 'a red circle falls'.", "请写出要显示的内容，例如“一个红色圆形下落”。"),
    "long_prompt": (
        "This text has {characters} characters, and at most {most} are read: the models know captions of up to {words} words.",
        "这段文字有 {characters} 个字符，最多 {most} 个：模型只认识不超过 {words} 个词的描述。",
    ),
    "unknown_words": (
        "The models never saw these words; → shows the nearest that they know: {words}. Try 'a red circle falls' or "
        "'the digit 3 is moving up then down .'",
        "模型没有见过这些词；→ 后是最接近的已知词：{words}。可以试试“一个红色圆形下落”。",
    ),
    "word_missing": ("'{word}' doesn't occur in '{prompt}'.", "“{prompt}”里没有“{word}”。"),
    "wrong_type": (
        "{name} is of a type that isn't read here; it must be one of {types}.",
        "不支持 {name} 的类型；可用的类型：{types}。",
    ),
    "damaged_file": (
        "{name} can't be read as what its name says: is it damaged, or of another type?",
        "无法按文件名的类型读取 {name}：文件是否损坏，或者是别的类型？",
    ),
    "no_sketch": (
        "There is no drawing yet: draw a face with a few lines, as large as the square.",
        "还没有画：请用几条线画一张脸，画满整个方框。",
    ),
    "large_picture": (
        "This picture has {megapixels} megapixels, at most {most} are read: make it smaller first.",
        "这张图片有 {megapixels} 百万像素，最多 {most}：请先缩小。",
    ),
    "short_clip": ("{name} is shorter than the {seconds:g} seconds that are needed.", "{name} 不足所需的 {seconds:g} 秒。"),
    "full_history": (
        "The history is full, at {megabytes:g} MB: whoever runs this page has to move old results away, or to start it with a "
        "larger --history-limit.",
        "历史记录已满（{megabytes:g} MB）：请本页的管理员移走旧的结果，或用更大的 --history-limit 重新启动。",
    ),
    "bad_number": (
        "The seed and the other numbers must be whole numbers within their ranges.",
        "种子和其他数字必须是范围内的整数。",
    ),
}


class Refused(CourseError):
    """A user's mistake that can be told in both languages.

    Args:
        key: str, a key of `TEXTS`.
        **fields: what the sentence is filled with.
    """

    def __init__(self, key, **fields):
        super().__init__(say(key, LANGUAGES[0], **fields))
        self.key, self.fields = key, fields


def say(key, language, **fields):
    """A text of the page.

    Args:
        key: str, a key of `TEXTS`.
        language: str, one of `LANGUAGES`.
        **fields: what the text is filled with.

    Returns:
        str.
    """
    text = TEXTS[key][LANGUAGES.index(language)]
    return text.format(**fields) if fields else text


def explain(error, language):
    """One sentence about an error, for the page.

    Args:
        error: the exception.
        language: str, one of `LANGUAGES`.

    Returns:
        str; of what is no user's mistake, only its type: messages of libraries may hold paths.
    """
    if isinstance(error, Refused):
        return say(error.key, language, **error.fields)
    if isinstance(error, CourseError):
        return say("refused", language, sentence=str(error))
    return say("broken", language, kind=type(error).__name__)
