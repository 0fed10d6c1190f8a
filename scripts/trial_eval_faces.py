_B,_M=d['B'],d['M']
def decode_lat(z):
    n=len(z); z=z.reshape(n,4,16,-1)
    x=np.einsum('ntpc,pdc->ntpd',z,_B)+_M
    x=x.reshape(n,4,4,4,4,16,16,3).transpose(0,1,4,2,5,3,6,7).reshape(n,16,64,64,3)
    return ((x+1)*127.5).clip(0,255).astype('u1')
def encode_clip(fr):
    n=len(fr); x=fr.reshape(n,4,4,4,16,4,16,3).transpose(0,1,3,5,2,4,6,7).reshape(n,4,16,-1)/127.5-1
    return np.einsum('ntpd,pdc->ntpc',x.astype('f4')-_M,_B).reshape(n,4,-1)
from vidgen_tf.datasets import load
from vidgen_tf.evaluation.image_to_video import read_faces
from vidgen_tf.evaluation.video_gan import most_frequent
import imageio.v3 as iio
from vidgen_tf.evaluation.video_gan import read_frames, read_motions
from vidgen_tf.evaluation.image_to_video import shrink
def right(fr,said,st):
    small=shrink(fr); seen=read_frames(small,"faces")
    t=most_frequent(np.stack([seen[n] for n in ("skin","hair_style","hair_colour","glasses","beard")],-1))
    return read_motions(small,seen,"faces"),t
_test=load("faces","test")[np.arange(200)]
_e,_z,_said=paraphrase(_test.states,'faces',seed=77,split='test')
_pr=[a if i%2 else b for i,(a,b) in enumerate(zip(_e,_z))]
_tk=subwords.encode(_pr)
def score(fr):
    ex,t=right(fr,_said,None)
    out={}
    out['motion']=(ex==_said['expression'])
    names={"hair_style":1,"hair_colour":2,"has_glasses":3,"beard":4}
    app=np.ones(len(fr),bool)
    for nme,i in names.items():
        f=t[:,i]; f=f>0 if nme=="has_glasses" else f
        ok=(_said[nme]<0)|(f==_said[nme]); out[nme]=ok[_said[nme]>=0]; app&=ok
    out['appearance']=app; out['joint']=app&out['motion']
    return {k:round(float(v.mean()),3) for k,v in out.items()}
def evaluate(m,tag,scale=2.0,steps=20):
    vf=guided_velocity(m,scale,conditioning={"tokens":_tk})
    z=m.sample(200,steps,seed=1,velocity_fn=vf)
    fr=decode_lat(z)
    rows=[fr[i,::3].transpose(1,0,2,3).reshape(64,-1,3) for i in range(12)]
    im=np.concatenate([np.concatenate(rows[:6],0),np.concatenate(rows[6:],0)],1); iio.imwrite(f'/tmp/st/{tag}.png',im.repeat(2,0).repeat(2,1))
    open(f'/tmp/st/{tag}.txt','w').write("\n".join(_pr[:12]))
    return score(fr)
