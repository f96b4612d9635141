"""
What parameters may be whose words the service's pages list.

Each takes its plain string too.
"""

from __future__ import annotations

import enum


class Scheduler(enum.StrEnum):
    """
    Samplers that the page of text2img lists.
    """

    DDPM = "DDPMScheduler"
    DDIM = "DDIMScheduler"
    PNDM = "PNDMScheduler"
    LMS_DISCRETE = "LMSDiscreteScheduler"
    EULER_DISCRETE = "EulerDiscreteScheduler"
    EULER_ANCESTRAL_DISCRETE = "EulerAncestralDiscreteScheduler"
    DPM_SOLVER_MULTISTEP = "DPMSolverMultistepScheduler"
    HEUN_DISCRETE = "HeunDiscreteScheduler"
    KDPM2_DISCRETE = "KDPM2DiscreteScheduler"
    DPM_SOLVER_SINGLESTEP = "DPMSolverSinglestepScheduler"
    KDPM2_ANCESTRAL_DISCRETE = "KDPM2AncestralDiscreteScheduler"
    UNI_PC_MULTISTEP = "UniPCMultistepScheduler"
    DDIM_INVERSE = "DDIMInverseScheduler"
    DEIS_MULTISTEP = "DEISMultistepScheduler"
    IPNDM = "IPNDMScheduler"
    KARRAS_VE = "KarrasVeScheduler"
    SCORE_SDE_VE = "ScoreSdeVeScheduler"
    LCM = "LCMScheduler"


class SafetyCheckerType(enum.StrEnum):
    """
    What becomes of a picture that the safety checker does not like.
    """

    BLUR = "blur"
    SENSITIVE_CONTENT_TEXT = "sensitive_content_text"
    PIXELATE = "pixelate"
    BLACK = "black"


class AlgorithmType(enum.StrEnum):
    """
    Variants of `Scheduler.DPM_SOLVER_MULTISTEP`.
    """

    NONE = "none"
    #: Three pluses are the service's own; diffusers writes two.
    DPM_SOLVER = "dpmsolver+++"


class IPAdapter(enum.StrEnum):
    """
    Adapters that take a picture as a prompt.
    """

    SDXL = "ip-adapter_sdxl"
    SD15 = "ip-adapter_sd15"
    PLUS_FACE_SD15 = "ip-adapter-plus-face_sd15"
    PLUS_SDXL_VIT_H = "ip-adapter-plus_sdxl_vit-h"
    PLUS_FACE_SDXL_VIT_H = "ip-adapter-plus-face_sdxl_vit-h"


class ControlNetModel(enum.StrEnum):
    """
    What a picture of `ControlNet` keeps of another.
    """

    CANNY = "canny"
    DEPTH = "depth"
    HED = "hed"
    MLSD = "mlsd"
    NORMAL = "normal"
    OPENPOSE = "openpose"
    SCRIBBLE = "scribble"
    SEGMENTATION = "segmentation"
    INPAINT = "inpaint"
    SOFTEDGE = "softedge"
    LINEART = "lineart"
    SHUFFLE = "shuffle"
    TILE = "tile"
    FACE_DETECTOR = "face_detector"
    QRCODE = "qrcode"
    BLUR = "blur"
    POSE = "pose"
    #: This and the next: fluxdev alone.
    GRAY = "gray"
    LOW_QUALITY = "low_quality"


class ClothType(enum.StrEnum):
    """
    Where a garment is worn.
    """

    UPPER_BODY = "upper_body"
    LOWER_BODY = "lower_body"
    DRESSES = "dresses"


class FaceStyle(enum.StrEnum):
    """
    What a face is painted like.
    """

    COMIC = "comic"
    CHIBI = "chibi"
    THREE_D = "3d"
    ANIME = "anime"
    REALISTIC = "realistic"
